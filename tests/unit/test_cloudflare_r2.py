"""R2 through boto3 over the real local runtime."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from towpath.cloudflare.r2 import r2
from towpath.errors import WrongUse
from towpath.local import Runtime
from towpath.secrets import Secret


def test_an_object_comes_back_with_what_was_said_of_it(r2_client: Any, bucket: str) -> None:
    content = bytes(range(256)) * 40
    digest = md5(content).digest()
    put = r2_client.put_object(
        Bucket=bucket,
        Key="a folder/ü.bin",
        Body=content,
        ContentMD5=b64encode(digest).decode(),
        ContentType="application/x-test",
        CacheControl="private, max-age=0",
    )
    assert put["ETag"] == f'"{digest.hex()}"'
    head = r2_client.head_object(Bucket=bucket, Key="a folder/ü.bin")
    assert (head["ContentType"], head["CacheControl"]) == ("application/x-test", "private, max-age=0")
    assert r2_client.get_object(Bucket=bucket, Key="a folder/ü.bin")["Body"].read() == content


def test_a_wrong_md5_stores_nothing(r2_client: Any, bucket: str) -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        r2_client.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5=b64encode(md5(b"y").digest()).decode())
    assert r2_client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_no_checksum_header_is_sent_unasked(r2_client: Any, bucket: str) -> None:
    sent: list[dict[str, Any]] = []

    def look(request: Any, **_: Any) -> None:
        sent.append(dict(request.headers))

    r2_client.meta.events.register("before-send.s3.PutObject", look, unique_id="look")
    try:
        r2_client.put_object(Bucket=bucket, Key="k", Body=b"x")
    finally:
        r2_client.meta.events.unregister("before-send.s3.PutObject", unique_id="look")
    assert len(sent) == 1
    assert not [name for name in sent[0] if "checksum" in name.lower()]


def test_wrong_credentials_and_a_missing_bucket_are_refused(runtime: Runtime, r2_client: Any, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("0" * 64)
    other = r2(runtime.s3, runtime.access_key, Secret("file:wrong", tmp_path))
    with pytest.raises(ClientError) as caught:
        other.head_bucket(Bucket=runtime.bucket)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    other.close()
    with pytest.raises(ClientError, match="NoSuchBucket"):
        r2_client.list_objects_v2(Bucket="nobody-declared-this")


def test_an_endpoint_without_encryption_is_refused(runtime: Runtime) -> None:
    with pytest.raises(WrongUse, match="unencrypted"):
        r2("http://r2.example.org", runtime.access_key, runtime.secret_key)
