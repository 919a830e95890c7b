"""Ed25519 keys: PEM (PKCS 8, SubjectPublicKeyInfo) or OpenSSH's own form, named by OpenSSH's fingerprint.

One key has one name in both forms: `ssh-keygen -lf` prints the same SHA256:… as a record does.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from towpath.errors import WrongUse
from towpath.secrets import Secret

KIND = "ssh-ed25519"
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half: 32 bytes."""

    raw: bytes

    @property
    def blob(self) -> bytes:
        """The key as OpenSSH writes it on the wire (RFC 8709)."""
        kind = KIND.encode()
        return struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(self.raw)) + self.raw

    @property
    def name(self) -> str:
        """OpenSSH's fingerprint: SHA256:…"""
        return fingerprint(self.blob)

    @property
    def line(self) -> str:
        """The key as one line of OpenSSH: ssh-ed25519 AAAA…"""
        return f"{KIND} {base64.b64encode(self.blob).decode()}"

    def signed(self, signature: bytes, data: bytes) -> bool:
        """True when this key made the signature over `data`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """A private key that signs."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, 64 bytes; the same data gives the same signature."""
        return self._private.sign(data)

    def __repr__(self) -> str:
        return f"Signer({self.public.name})"


def fingerprint(blob: bytes) -> str:
    """OpenSSH's name for a key of any kind, from its wire form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def load_signer(secret: Secret) -> Signer:
    """The private key that a reference leads to.  Raises WrongUse when it is none, or is locked by a passphrase."""
    shown = secret.reference
    step = "give an ed25519 key without a passphrase, PEM or OpenSSH, e.g. of `ssh-keygen -t ed25519 -N ''`"
    try:
        data = secret.reveal().encode() + b"\n"
        load = load_ssh_private_key if data.startswith(_OPENSSH) else load_pem_private_key
        private = load(data, None)
    except TypeError:
        raise WrongUse("the key is locked by a passphrase", object=shown, next=step) from None
    except (ValueError, UnsupportedAlgorithm, OSError):
        raise WrongUse("holds no private key that can be read", object=shown, next=step) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise WrongUse("the key is not of the kind ed25519", object=shown, next=step)
    return Signer(private)


def load_public(path: Path) -> PublicKey:
    """The public key in a file.  Raises WrongUse when there is none."""
    step = "give an ed25519 public key: a PEM file, or the .pub file of ssh-keygen"
    try:
        data = path.read_bytes()
        public = load_pem_public_key(data) if data.lstrip().startswith(b"-----") else load_ssh_public_key(data.strip())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise WrongUse(f"cannot be read: {reason}", object=str(path), next=step) from None
    except (ValueError, UnsupportedAlgorithm):
        raise WrongUse("holds no public key that can be read", object=str(path), next=step) from None
    if not isinstance(public, Ed25519PublicKey):
        raise WrongUse("the key is not of the kind ed25519", object=str(path), next=step)
    return PublicKey(public.public_bytes_raw())


def public_from(line: str) -> PublicKey | None:
    """The key of one OpenSSH line, or None when it is none of ed25519."""
    kind, _, rest = line.strip().partition(" ")
    words = rest.split()
    try:
        blob = base64.b64decode(words[0], validate=True)
    except (ValueError, IndexError):
        return None
    key = PublicKey(blob[-32:])
    return key if kind == KIND and blob == key.blob else None
