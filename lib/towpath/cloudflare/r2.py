"""R2 through its S3 route, by boto3."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from towpath.cloudflare.client import loopback
from towpath.errors import WrongUse
from towpath.secrets import Secret

CONNECTIONS = 16


def r2(endpoint: str, access_key: Secret, secret_key: Secret) -> Any:
    """A client for R2 at `endpoint` (`https://<account>.r2.cloudflarestorage.com`, or the local runtime's S3 route).

    Checksum headers are sent only where the operation demands them: R2's local route ignores them, and uploads here are
    guarded by Content-MD5.  Raises WrongUse if a secret is missing.
    """
    if not loopback(endpoint) and not endpoint.startswith("https://"):
        raise WrongUse(f"{endpoint} would send data unencrypted", object="r2_endpoint", next="write https://…")
    config = Config(
        signature_version="s3v4",
        region_name="auto",
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": 5},
        max_pool_connections=CONNECTIONS,
        connect_timeout=10,
        read_timeout=120,
        proxies={} if loopback(endpoint) else None,
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key.reveal(),
        aws_secret_access_key=secret_key.reveal(),
        config=config,
    )
