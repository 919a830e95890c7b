"""Where records are kept, and with which key: the settings of a machine, not of a plan.

The same plan is run from several machines, and a record may move to another place without voiding an approval.  So
this stands in the environment and on the command line, never in params.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from towpath.cloudflare.r2 import r2
from towpath.errors import WrongUse
from towpath.places.bucket import BucketStore
from towpath.places.store import FolderStore, Store
from towpath.secrets import REFERENCE, Secret

PLACE = "TOWPATH_RECORDS"  # s3://bucket/prefix, or a folder
ENDPOINT = "TOWPATH_RECORDS_ENDPOINT"  # of the bucket: https://<account>.r2.cloudflarestorage.com
ACCESS_KEY = "TOWPATH_RECORDS_ACCESS_KEY"  # references, env:NAME or file:PATH
SECRET_KEY = "TOWPATH_RECORDS_SECRET_KEY"
S3 = "s3://"
_BUCKET = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")  # developers.cloudflare.com/r2/buckets/create-buckets
_PREFIX = re.compile(r"^[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*$")


def address_of(given: str) -> str:
    """The place that is meant: what an option gives, else what the environment says, else ""."""
    return given or os.environ.get(PLACE, "")


def split(address: str) -> tuple[str, str]:
    """Bucket and prefix of s3://bucket/prefix.  Raises WrongUse, which repeats nothing: a key may stand in it."""
    bucket, _, prefix = address.removeprefix(S3).partition("/")
    prefix = prefix.strip("/")
    is_good = _BUCKET.match(bucket) and (not prefix or _PREFIX.match(prefix)) and ".." not in prefix.split("/")
    if not is_good:
        step = "write s3://bucket/prefix with letters, digits and . _ - in the prefix; keys have settings of their own"
        raise WrongUse("is not the address of a bucket", object=PLACE, next=step)
    return bucket, prefix


def open_place(address: str, root: Path) -> Store:
    """The place at an address; `file:` references and folders are relative to `root`.

    Raises WrongUse for an address or a setting that is wrong, CannotFinish for a place that does not answer.
    """
    if not address.startswith(S3):
        if not address or "://" in address or "\0" in address:
            raise WrongUse("is no place for records", object=PLACE, next="write s3://bucket/prefix, or a folder")
        return FolderStore((root / Path(address).expanduser()).resolve())
    bucket, prefix = split(address)
    endpoint = os.environ.get(ENDPOINT, "")
    if not endpoint:
        step = f"set {ENDPOINT} to https://<account>.r2.cloudflarestorage.com"
        raise WrongUse("does not say where the bucket answers", object=ENDPOINT, next=step)
    return BucketStore(r2(endpoint, _secret(ACCESS_KEY, root), _secret(SECRET_KEY, root)), bucket, prefix)


def _secret(setting: str, root: Path) -> Secret:
    reference = os.environ.get(setting, "")
    if not REFERENCE.match(reference):
        raise WrongUse(
            "names no secret", object=setting, next="set it to env:NAME or file:PATH of a key for that bucket"
        )
    return Secret(reference, root)
