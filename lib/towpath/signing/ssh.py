"""Signatures with a person's SSH key, made and verified by OpenSSH's own `ssh-keygen -Y`.

The private key may have a passphrase or lie in an agent: ssh-keygen asks for what it needs.  A signature is the
armoured text that ssh-keygen writes (PROTOCOL.sshsig), byte for byte; the namespace keeps one made for another purpose
from counting here.
"""

from __future__ import annotations

import base64
import binascii
import struct
import subprocess
import tempfile
from pathlib import Path

from towpath.errors import CannotFinish, WrongUse
from towpath.signing.keys import fingerprint

NAMESPACE = "towpath"
BEGIN, END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
PATIENCE = 300  # seconds: a person types a passphrase, or touches a hardware key
_MAGIC, _VERSION, _WIDTH = b"SSHSIG", 1, 70


def ssh_key_name(key: Path) -> str:
    """The fingerprint (SHA256:…) of the key in a file.  Raises WrongUse when there is none."""
    done = _keygen(["-l", "-f", str(key)])
    words = done.stdout.decode("utf-8", "replace").split()
    if done.returncode or len(words) < 2 or not words[1].startswith("SHA256:"):
        raise WrongUse("is no key that ssh-keygen can read", object=str(key), next="name a private SSH key")
    return words[1]


def ssh_sign(key: Path, data: bytes) -> bytes:
    """The signature over `data`.  Raises WrongUse when ssh-keygen makes none, saying what it said."""
    done = _keygen(["-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key)], data)
    if done.returncode or not done.stdout.startswith(BEGIN):
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:200] or f"exit code {done.returncode}"
        raise WrongUse(f"ssh-keygen did not sign: {said}", object=str(key), next="name a private SSH key that you hold")
    return done.stdout


def ssh_key_of(signature: bytes) -> str:
    """The fingerprint of the key that a signature names; "" for what is no signature of this namespace."""
    try:
        body = b"".join(signature.strip().removeprefix(BEGIN).removesuffix(END).split())
        blob = base64.b64decode(body, validate=True)
        if blob[:6] != _MAGIC or struct.unpack(">I", blob[6:10])[0] != _VERSION:
            return ""
        key, rest = _text(blob[10:])
        namespace, _ = _text(rest)
    except (binascii.Error, struct.error, ValueError):
        return ""
    text = base64.b64encode(blob)
    lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    if b"\n".join([BEGIN, *lines, END, b""]) != signature or namespace != NAMESPACE.encode():
        return ""
    return fingerprint(key)


def ssh_fits(signature: bytes, data: bytes) -> bool:
    """True when the key that the signature names made it over `data`; whose key that is, is not asked."""
    with tempfile.NamedTemporaryFile(suffix=".sig") as file:
        file.write(signature)
        file.flush()
        return _keygen(["-Y", "check-novalidate", "-q", "-n", NAMESPACE, "-s", file.name], data).returncode == 0


def ssh_verify(signature: bytes, data: bytes, name: str, signers: Path) -> bool:
    """True when a key that `signers` (OpenSSH's allowed_signers) lists for `name` made the signature over `data`."""
    with tempfile.NamedTemporaryFile(suffix=".sig") as file:
        file.write(signature)
        file.flush()
        words = ["-Y", "verify", "-q", "-n", NAMESPACE, "-I", name, "-f", str(signers), "-s", file.name]
        return _keygen(words, data).returncode == 0


def _text(data: bytes) -> tuple[bytes, bytes]:
    """A length-prefixed text, and what follows it."""
    (length,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + length:
        raise ValueError
    return data[4 : 4 + length], data[4 + length :]


def _keygen(words: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", *words], input=data, capture_output=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        raise CannotFinish(
            "ssh-keygen is not installed", next="install OpenSSH, or use an ed25519 key in PEM"
        ) from None
    except subprocess.TimeoutExpired:
        raise CannotFinish(f"ssh-keygen did not end in {PATIENCE} s", next="try again") from None
