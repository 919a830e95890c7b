"""Envelopes: an in-toto Statement v1 and the signatures over it, in the form of DSSE 1.0.

What is signed is `pae(payload type, payload)`.  The text of an envelope is canonical: sorted keys, no spaces, one line
feed at the end.  A file that says the same in other bytes is refused, so that no byte of it can change unseen.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from towpath.errors import BadInput

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the name of the key that is said to have made it; the name alone proves nothing."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload and the signatures over it; none where it is unsigned."""

    payload: bytes
    signatures: tuple[Signature, ...] = ()

    @property
    def signed_bytes(self) -> bytes:
        """What the signatures are over."""
        return pae(PAYLOAD_TYPE, self.payload)

    @property
    def text(self) -> str:
        """The envelope as it stands in a file."""
        return canonical(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [
                    {"keyid": one.key, "sig": base64.b64encode(one.value).decode()} for one in self.signatures
                ],
            }
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statement(self) -> dict[str, Any]:
        """The payload.  Raises BadInput when it is no in-toto Statement v1 in its canonical form."""
        try:
            value = json.loads(self.payload)
            if value["_type"] != STATEMENT or not isinstance(value["predicate"], dict):
                raise ValueError
            for subject in value["subject"]:
                if set(subject) != {"name", "digest"} or set(subject["digest"]) != {"sha256"}:
                    raise ValueError
            if canonical(value).encode() != self.payload + b"\n":
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadInput("holds no statement", next="restore the file") from None
        return dict(value)


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the type and the payload, each after its length in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces, and a line feed at the end."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def payload_of(subjects: Mapping[str, str], kind: str, predicate: Mapping[str, Any]) -> bytes:
    """A statement that the files with these SHA-256 digests (path to 64 hex digits) are what `predicate` is about."""
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": subjects[name]}} for name in sorted(subjects)],
        "predicateType": kind,
        "predicate": dict(predicate),
    }
    return canonical(statement).encode().removesuffix(b"\n")


def read_envelope(data: bytes) -> Envelope:
    """The envelope in a file.  Raises BadInput when the bytes are not exactly those of an envelope."""
    try:
        value = json.loads(data)
        envelope = Envelope(
            base64.b64decode(value["payload"], validate=True),
            tuple(Signature(one["keyid"], base64.b64decode(one["sig"], validate=True)) for one in value["signatures"]),
        )
        is_whole = envelope.text.encode() == data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise BadInput("is no envelope", next="restore the file")
    return envelope
