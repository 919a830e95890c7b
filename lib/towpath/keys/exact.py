"""Values of a namespace read exactly, in as few requests as that allows.

A bulk read gives a hundred values as texts.  It drops a byte order mark, which before JSON says nothing, and replaces
bytes that are no text, which shows; so the JSON forms of collections are read together.  Of a string every byte counts:
each is read alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from towpath.cloudflare.errors import CloudflareError
from towpath.cloudflare.kv import GET_KEYS, KV
from towpath.keys.compare import CONNECTIONS
from towpath.streams.pool import each

REPLACED = "\ufffd"  # what a bulk read puts where bytes are no text
LOST = "__proto__"  # a key that a bulk read leaves out


def read_exactly(kv: KV, wanted: Sequence[tuple[str, str]]) -> dict[str, bytes | None]:
    """Values by key, None for a key that is not there; `wanted`: keys and types.  Raises CloudflareError."""
    found: dict[str, bytes | None] = {}
    together = [key for key, type in wanted if type != "string" and key != LOST]
    for start in range(0, len(together), GET_KEYS):
        texts = _texts(kv, together[start : start + GET_KEYS])
        found |= {key: text.encode() for key, text in texts.items() if text is not None and REPLACED not in text}
    alone = [key for key, _ in wanted if key not in found]  # also those that a bulk read says are not there
    return found | dict(zip(alone, each(kv.get, alone, CONNECTIONS, ahead=2, name="keys"), strict=True))


def _texts(kv: KV, keys: Sequence[str]) -> dict[str, str | None]:
    try:
        return kv.get_texts(keys)
    except CloudflareError as error:
        if error.status != 413:  # they are larger than a bulk read may be
            raise
        return {}
