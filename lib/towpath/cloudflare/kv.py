"""A KV namespace over its REST routes: list, read, bulk put, bulk delete.

Measured facts this module stands on (miniflare 5.20261117): any id is a namespace from its first use on; a bulk put is
checked as a whole before anything is written, and refused when one expiration is less than 60 s away; a bulk read gives
text only: it drops a byte order mark, replaces what is not UTF-8, and leaves out a key called `__proto__`; a listing
ascends by the UTF-8 bytes of the keys and tells metadata and expiration.  The local runtime takes up to 3,355,200 bytes
as base64 in a bulk put (more overflow its stack), and ignores the expiration of a single put.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from towpath.cloudflare.client import Client, Form
from towpath.cloudflare.errors import CloudflareError
from towpath.errors import WrongUse

LIST_KEYS = 1_000  # keys of a page of a listing
GET_KEYS = 100  # keys of a bulk read
GET_BYTES = 16_000_000  # of values in a bulk read; the service refuses 25 MB
DELETE_KEYS = 1_000  # of the 10,000 that are allowed: the local runtime deletes all of them at once
BASE64_BYTES = 3_000_000  # of a value that a bulk put carries as base64
TRIES = 3  # for keys that a bulk write names as unsuccessful


@dataclass(frozen=True, slots=True)
class Listed:
    """One key as a listing tells it; `expiration` in seconds since 1970, None for a key that stays."""

    key: str
    expiration: int | None
    metadata: dict[str, Any] | None


def pair(key: str, value: bytes, *, expiration: int | None, metadata: dict[str, Any], binary: bool) -> bytes:
    """One pair of a bulk put as JSON.  A `binary` value travels as base64 and is stored as its bytes."""
    body: dict[str, Any] = {"key": key, "value": base64.b64encode(value).decode() if binary else value.decode()}
    if binary:
        body["base64"] = True
    if expiration is not None:
        body["expiration"] = expiration
    return orjson.dumps({**body, "metadata": metadata})


class KV:
    """One namespace.  Locally it comes into being with the first request; remotely it must exist.

    Every request may be repeated without harm: a put writes the same value again.  All methods raise CloudflareError.
    """

    def __init__(self, client: Client, namespace: str) -> None:
        if not namespace or "/" in namespace:
            raise WrongUse("not the id of a namespace", object="kv_namespace_id", next="copy the id from the dashboard")
        self.client, self.namespace = client, namespace
        self._path = f"/storage/kv/namespaces/{quote(namespace, safe='')}"

    def __repr__(self) -> str:
        return f"KV({self.namespace} at {self.client.base})"

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Every key that begins with `prefix`, in the order of the keys' UTF-8 bytes, page by page."""
        query = {"limit": str(LIST_KEYS), **({"prefix": prefix} if prefix else {})}
        while True:
            page = self._request("GET", "/keys", query=query, form="envelope")
            for item in page["result"]:
                yield Listed(item["name"], item.get("expiration"), item.get("metadata"))
            cursor = (page.get("result_info") or {}).get("cursor")
            if not cursor:
                return
            query["cursor"] = cursor

    def get(self, key: str) -> bytes | None:
        """The value of one key, exactly; None if there is no such key."""
        try:
            value = self._request("GET", f"/values/{quote(key, safe='')}", form="bytes", key=key)
        except CloudflareError as error:
            if error.code == "10009":  # this key is not there; a namespace that is not has another code
                return None
            raise
        return bytes(value)

    def get_texts(self, keys: Sequence[str]) -> dict[str, str | None]:
        """The values of up to 100 keys as texts, at most 25 MB together; None for a key that is not there.

        Not exact for every value: see the top of this module.
        """
        found = self._request("POST", "/bulk/get", body=orjson.dumps({"keys": list(keys), "type": "text"}))["values"]
        return {key: found.get(key) for key in keys}

    def put(self, body: bytes) -> None:
        """Write a ready body: a JSON array of pairs as `pair` makes them.  Keys the service could not write are sent
        again; raises CloudflareError when some remain."""
        for _ in range(TRIES):
            left = (self._request("PUT", "/bulk", body=body) or {}).get("unsuccessful_keys") or []
            if not left:
                return
            body = orjson.dumps([item for item in orjson.loads(body) if item["key"] in set(left)])
        step = "start the phase again: it goes on where it stopped"
        raise CloudflareError(f"{len(left)} keys could not be written", object=f"{self}, key {left[0]}", next=step)

    def put_alone(self, key: str, value: bytes, metadata: dict[str, Any]) -> None:
        """Write one value of up to 25 MiB that does not expire, whatever its bytes are."""
        line = secrets.token_hex(16)
        part = f"--{line}\r\nContent-Disposition: form-data; name="
        head = f'{part}"metadata"\r\n\r\n{orjson.dumps(metadata).decode()}\r\n'
        head += f'{part}"value"; filename="value"\r\n\r\n'  # without a file's name it would be taken for text
        body = head.encode() + value + f"\r\n--{line}--\r\n".encode()
        route = f"/values/{quote(key, safe='')}"
        self._request("PUT", route, body=body, key=key, content_type=f"multipart/form-data; boundary={line}")

    def delete(self, keys: Sequence[str]) -> None:
        """Delete keys; one that is not there is no error."""
        for start in range(0, len(keys), DELETE_KEYS):
            part = list(keys[start : start + DELETE_KEYS])
            for _ in range(TRIES):
                part = (self._request("POST", "/bulk/delete", body=orjson.dumps(part)) or {}).get(
                    "unsuccessful_keys"
                ) or []
                if not part:
                    break
            else:
                step = "start the phase again: it deletes what is left"
                raise CloudflareError(f"{len(part)} keys could not be deleted", object=f"{self}", next=step)

    def _request(
        self, method: str, route: str, *, body: bytes | None = None, query: dict[str, str] | None = None,
        form: Form = "result", key: str = "", content_type: str = "application/json",
    ) -> Any:  # fmt: skip
        name = f"KV {self.namespace}" + (f", key {key}" if key else "")
        return self.client.request(
            method, self._path + route, content=body, query=query, idempotent=True, object=name, form=form,
            content_type=content_type,
        )  # fmt: skip
