"""Which sessions a percentage takes.  The gateway computes the same (gateway/src/sessions.ts)."""

from __future__ import annotations

import hashlib

BUCKETS = 10_000


def bucket(salt: str, key: str) -> int:
    """0 … 9,999: the same for the same key as long as the salt is the same."""
    digest = hashlib.sha256(f"{salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:4]) % BUCKETS


def inside(salt: str, key: str, percent: int) -> bool:
    """Whether the new side answers this session's reads; who is inside at 10 is inside at 50."""
    return bucket(salt, key) < percent * (BUCKETS // 100)
