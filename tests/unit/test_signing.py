"""Keys and envelopes: the forms that others write are read, and nothing else; one byte changed is no signature."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as some

from towpath.errors import BadInput, WrongUse
from towpath.secrets import Secret
from towpath.signing.envelope import Envelope, Signature, pae, payload_of, read_envelope
from towpath.signing.keys import Signer, load_public, load_signer, public_from

# RFC 8032, section 7.1, test 2
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def pem(private: Ed25519PrivateKey, lock: KeySerializationEncryption | None = None) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption())


def test_a_signature_is_that_of_the_standard() -> None:
    signer = Signer(Ed25519PrivateKey.from_private_bytes(SEED))
    assert signer.public.raw.hex() == PUBLIC
    assert signer.sign(b"\x72").hex() == SIGNATURE
    assert signer.public.signed(bytes.fromhex(SIGNATURE), b"\x72")
    assert not signer.public.signed(bytes.fromhex(SIGNATURE), b"\x73")
    assert not signer.public.signed(b"short", b"\x72")


def test_what_is_signed_is_that_of_the_specification() -> None:
    # DSSE 1.0, protocol.md, test vector
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_openssh_and_pem_name_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ana", "-f", str(ssh)], check=True)
    signer = load_signer(Secret("file:id", tmp_path))
    shown = subprocess.run(["ssh-keygen", "-lf", f"{ssh}.pub"], check=True, capture_output=True, text=True).stdout
    assert signer.public.name in shown.split()
    assert load_public(tmp_path / "id.pub") == signer.public == public_from(signer.public.line)

    private = Ed25519PrivateKey.from_private_bytes(SEED)
    monkeypatch.setenv("A_KEY", pem(private).decode())
    (tmp_path / "pub.pem").write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    assert load_signer(Secret("env:A_KEY")).public == load_public(tmp_path / "pub.pem")


def test_keys_that_cannot_sign_are_refused_in_one_line(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    (tmp_path / "locked").write_bytes(pem(private, BestAvailableEncryption(b"a passphrase")))
    (tmp_path / "none").write_text("no key at all")
    rsa = generate_private_key(65537, 2048)
    (tmp_path / "rsa").write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "rsa.pub").write_bytes(rsa.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    for name, said in (("locked", "locked by a passphrase"), ("none", "no private key"), ("rsa", "not of the kind")):
        with pytest.raises(WrongUse, match=said):
            load_signer(Secret(f"file:{name}", tmp_path))
    for name, said in (("none", "no public key"), ("rsa.pub", "not of the kind"), ("nosuch", "no such file")):
        with pytest.raises(WrongUse, match=said):
            load_public(tmp_path / name)
    assert public_from("ssh-rsa AAAA") is None
    assert public_from("ssh-ed25519 AAAA") is None
    assert public_from("") is None


@given(some.dictionaries(some.text(min_size=1).filter(lambda t: t.isprintable()), some.just("ab" * 32)), some.text())
def test_an_envelope_comes_back_as_it_was_written(subjects: dict[str, str], word: str) -> None:
    word = word.encode("utf-8", "replace").decode()
    envelope = Envelope(payload_of(subjects, "urn:test", {"word": word}), (Signature("SHA256:x", b"123"),))
    read = read_envelope(envelope.text.encode())
    assert read == envelope
    assert read.statement()["predicate"] == {"word": word}
    assert {one["name"] for one in read.statement()["subject"]} == set(subjects)


def test_an_envelope_that_says_the_same_in_other_bytes_is_refused() -> None:
    envelope = Envelope(payload_of({"a": "ab" * 32}, "urn:test", {"n": 1}), (Signature("SHA256:x", b"1234"),))
    text = envelope.text
    assert read_envelope(text.encode()) == envelope
    spaced = json.dumps(json.loads(text))
    # the last letter of this base64 carries bits that nobody reads
    sloppy = text.replace(base64.b64encode(b"1234").decode(), "MTIzNB==")
    for other in (spaced, text + "\n", text.rstrip("\n"), sloppy, text.replace("in-toto", "in-TOTO"), "[]", "", "{"):
        assert other != text
        with pytest.raises(BadInput):
            read_envelope(other.encode())
    for payload in (b"{}", b"[]", b"x", envelope.payload + b" ", envelope.payload.replace(b"Statement/v1", b"v2")):
        with pytest.raises(BadInput):
            Envelope(payload).statement()
