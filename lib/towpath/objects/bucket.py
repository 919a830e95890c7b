"""A bucket behind the S3 API: one place for retries, for what the answers mean, and for reading its list.

Local and remote differ in details that this room never relies on: the local runtime ignores `If-Match` on DELETE and
`If-None-Match` on the completion of a multipart upload (measured, miniflare 5.20261117).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import monotonic, sleep
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from towpath.errors import CannotFinish
from towpath.objects.rules import AHEAD, WORKERS
from towpath.streams.pool import each

S3 = Any  # boto3 makes its clients at run time; there is no class to name
Result = TypeVar("Result")

TICK = dt.timedelta(seconds=2)  # listings tell milliseconds, nobody promises it: twice what HTTP's own dates tell
ATTEMPTS = 3  # beyond those that the client makes by itself
_PASSING = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError)
_LONGEST_PAUSE = 30.0


class RefusedError(Exception):
    """The service's answer to one request, where it means something to the caller: 404, 412, a wrong digest."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code
        super().__init__(f"{status} {code}")


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as a listing tells it; `etag` without its quotes."""

    key: str
    size: int
    etag: str
    written: str = ""  # when, by the service's clock; "" where nobody asked
    settled: bool = False  # a later write has another time: it was written well before the listing


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies the state of a bucket before anything is written to it."""

    bucket: str
    objects: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.bucket}: {self.objects} objects, {self.bytes} bytes"


class Bucket:
    """A bucket that answers.  Raises CannotFinish from every method when the service cannot be used."""

    def __init__(self, s3: S3, name: str, *, same_clock: bool = False) -> None:
        """Ask for the bucket once, so that a wrong name, key or address is told before any file is read.

        `same_clock`: the service runs on this machine.  The local runtime does not tell the time, R2 does.
        """
        self.s3, self.name, self._same_clock = s3, name, same_clock
        try:
            self.attempt(lambda: s3.head_bucket(Bucket=name), attempts=1)
        except RefusedError as refused:
            raise self._missing() from refused

    def attempt(self, request: Callable[[], Result], key: str = "", attempts: int = ATTEMPTS) -> Result:
        """Do `request`; again, with growing pauses, when the service is busy or the line breaks.

        `request` must be safe to repeat.  Raises RefusedError for 404, 412 and a digest that does not fit.
        """
        for number in range(1, attempts + 1):
            try:
                return request()
            except ClientError as error:
                status, code = _answer(error)
                if status < 500 and status != 429 and code != "RequestTimeout":
                    raise self._refusal(error, status, code, key) from error
                last, pause = f"answers {status} {code}", _retry_after(error)
            except _PASSING as error:
                last, pause = f"does not answer ({type(error).__name__})", 0.0
            except BotoCoreError as error:
                raise self._stop(f"cannot be asked: {error}", key, "correct the access keys and r2_endpoint") from error
            if number < attempts:
                sleep(max(pause, 0.2 * 2 ** (number - 1)))
        address = self.s3.meta.endpoint_url
        step = (
            f"start the service behind r2_endpoint ({address}), then run the phase again: it goes on where it stopped"
        )
        raise self._stop(f"{last}, {attempts} attempts", key, step)

    def head(self, key: str) -> dict[str, Any] | None:
        """The head of an object; None if it is not there."""
        try:
            return self.attempt(lambda: dict(self.s3.head_object(Bucket=self.name, Key=key)), key)
        except RefusedError as refused:
            if refused.status == 404:
                return None
            raise

    def etags(self, keys: Iterable[str], workers: int = WORKERS) -> Iterator[tuple[str, str | None]]:
        """Each key with its object's ETag, without its quotes; None where there is no object."""

        def look(key: str) -> tuple[str, str | None]:
            head = self.head(key)
            return key, str(head["ETag"]).strip('"') if head else None

        return each(look, keys, workers, ahead=AHEAD, name="objects")

    def list(self, prefixes: Sequence[str] = ("",)) -> Iterator[Listed]:
        """Every object under sorted prefixes, none of which begins another, in the order of keys, page by page."""
        last = ""
        for prefix in prefixes:
            token: dict[str, str] = {}
            while True:
                page, moment = self._page(prefix, token)
                for found in page.get("Contents", ()):
                    if found["Key"] <= last:
                        raise self._stop("lists its keys out of order", found["Key"], "report this with the version")
                    last = found["Key"]
                    written: dt.datetime | None = found.get("LastModified")
                    yield Listed(
                        last,
                        found["Size"],
                        found["ETag"].strip('"'),
                        written.astimezone(dt.UTC).isoformat() if written else "",
                        written is not None and moment is not None and written + TICK <= moment,
                    )
                if not page.get("IsTruncated"):
                    break
                token = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, token: dict[str, str]) -> tuple[dict[str, Any], dt.datetime | None]:
        """A page, and a moment of the service's clock that was not later than it; None where it does not tell one."""
        began, asked = dt.datetime.now(dt.UTC), monotonic()
        try:
            page = self.attempt(lambda: dict(self.s3.list_objects_v2(Bucket=self.name, Prefix=prefix, **token)))
        except RefusedError as refused:
            raise self._missing() from refused
        told = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if told is None:
            return page, began if self._same_clock else None
        try:
            answered = parsedate_to_datetime(told).replace(tzinfo=dt.UTC)  # HTTP knows no other zone
        except ValueError:
            return page, None
        return page, answered - dt.timedelta(seconds=monotonic() - asked)

    def _refusal(self, error: ClientError, status: int, code: str, key: str) -> Exception:
        if code == "NoSuchBucket":
            return self._missing()
        if code in ("BadDigest", "NoSuchUpload") or status in (404, 412):
            return RefusedError(status, code)
        if status in (401, 403):
            step = "correct r2_access_key and r2_secret_key, and the permissions of that key"
            return self._stop(f"refuses the access key ({status} {code})", key, step)
        message = str(error.response.get("Error", {}).get("Message", ""))
        return self._stop(f"answers {status} {code}: {message}", key, "look the code up in R2's S3 API documentation")

    def _missing(self) -> CannotFinish:
        step = "create it, or correct r2_bucket; the local runtime has only the buckets it was started with"
        return self._stop("does not exist", "", step)

    def _stop(self, what: str, key: str, step: str) -> CannotFinish:
        return CannotFinish(what, object=f"bucket {self.name}" + (f", key {key}" if key else ""), next=step)


def fingerprint(s3: S3, bucket: str, prefix: str = "") -> Fingerprint:
    """Count the objects and bytes of a bucket by listing it.  Raises CannotFinish."""
    objects = total = 0
    for found in Bucket(s3, bucket).list((prefix,)):
        objects, total = objects + 1, total + found.size
    return Fingerprint(bucket, objects, total)


def _answer(error: ClientError) -> tuple[int, str]:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status, str(error.response.get("Error", {}).get("Code", ""))


def _retry_after(error: ClientError) -> float:
    told = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return min(float(told), _LONGEST_PAUSE) if told.isdigit() else 0.0
