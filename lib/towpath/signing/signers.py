"""Who may sign: OpenSSH's allowed_signers, one line for a key: names, options, kind, key.

ssh-keygen reads the file itself for SSH signatures.  For plain ed25519 signatures it is read here, and strictly: a line
counts if it gives the exact name and no option but `namespaces`.
"""

from __future__ import annotations

import re
from pathlib import Path

from towpath.errors import WrongUse
from towpath.signing.envelope import Envelope, Signature
from towpath.signing.keys import PublicKey, public_from
from towpath.signing.ssh import BEGIN, NAMESPACE, ssh_fits, ssh_key_of, ssh_verify

FILE = "allowed_signers"
_LINE = re.compile(
    r'^(?P<names>[^\s"]+)\s+(?:namespaces="(?P<namespaces>[^"]*)"\s+)?(?P<key>ssh-ed25519\s+[A-Za-z0-9+/=]+)(?:\s.*)?$'
)


def keys_of(signers: Path, name: str) -> list[PublicKey]:
    """The ed25519 keys that the list gives to a name.  Raises WrongUse when the file cannot be read."""
    try:
        text = signers.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        step = "write a line `name ssh-ed25519 AAAA…` for each person who may approve"
        raise WrongUse("cannot be read", object=str(signers), next=step) from None
    found = []
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if match is None or name not in match["names"].split(","):
            continue
        if match["namespaces"] is not None and NAMESPACE not in match["namespaces"].split(","):
            continue
        if (key := public_from(match["key"])) is not None:
            found.append(key)
    return found


def signer_name(envelope: Envelope, own: PublicKey | None = None) -> str:
    """The fingerprint of the key that signed an envelope, "" when its one signature does not fit.

    `own` is the key that the envelope names for a plain ed25519 signature; an SSH signature carries its own.
    """
    if len(envelope.signatures) != 1:
        return ""
    one = envelope.signatures[0]
    if one.value.startswith(BEGIN):
        name = ssh_key_of(one.value)
        return name if name and name == one.key and ssh_fits(one.value, envelope.signed_bytes) else ""
    fits = own is not None and own.name == one.key and own.signed(one.value, envelope.signed_bytes)
    return one.key if fits else ""


def is_signed_by(envelope: Envelope, name: str, signers: Path) -> bool:
    """True when the one signature was made by a key that the list gives to `name`.  Raises WrongUse without a list."""
    keys = keys_of(signers, name)
    return len(envelope.signatures) == 1 and _by(envelope.signatures[0], envelope.signed_bytes, name, signers, keys)


def _by(one: Signature, data: bytes, name: str, signers: Path, keys: list[PublicKey]) -> bool:
    if one.value.startswith(BEGIN):
        return ssh_key_of(one.value) == one.key and ssh_verify(one.value, data, name, signers)
    return any(key.name == one.key and key.signed(one.value, data) for key in keys)
