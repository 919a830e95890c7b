"""KV over REST: what the real local runtime answers, and what this client makes of it."""

from __future__ import annotations

import secrets
import time

import orjson
import pytest

from towpath.cloudflare import KV, Client, CloudflareError
from towpath.cloudflare.kv import LIST_KEYS, pair
from towpath.errors import WrongUse

AWKWARD = (
    "a/b c?é#%",
    "nul\0here",
    "line\nbreak",
    "%2F",
    "../x",
    "é",
    "e\u0301",
    "__proto__",
    "constructor",
    "😀",
    "～",
)


@pytest.fixture
def kv(client: Client) -> KV:
    return KV(client, f"test-{secrets.token_hex(8)}")


def put(kv: KV, key: str, value: bytes, *, expiration: int | None = None, binary: bool = False) -> None:
    kv.put(b"[" + pair(key, value, expiration=expiration, metadata={"type": "string"}, binary=binary) + b"]")


def test_a_namespace_comes_into_being_with_its_first_use(kv: KV) -> None:
    assert list(kv.list()) == []
    assert kv.get("nothing") is None


@pytest.mark.parametrize("key", AWKWARD)
def test_any_key_is_written_read_listed_and_deleted(kv: KV, key: str) -> None:
    put(kv, key, key.encode())
    assert kv.get(key) == key.encode()
    assert [listed.key for listed in kv.list()] == [key]
    kv.delete([key])
    assert kv.get(key) is None


@pytest.mark.parametrize("value", [b"", b"\xff\x00\xfe", "\ufefftext".encode(), "\ufffd".encode(), bytes(range(256))])
def test_bytes_are_read_as_they_were_written(kv: KV, value: bytes) -> None:
    put(kv, "key", value, binary=True)
    assert kv.get("key") == value


def test_a_value_written_alone_keeps_its_bytes_and_metadata(kv: KV) -> None:
    value = bytes(range(256)) * 20_000  # too much for a bulk put as base64
    kv.put_alone("é/1", value, {"type": "string", "encoding": "binary"})
    assert kv.get("é/1") == value
    assert [one.metadata for one in kv.list()] == [{"type": "string", "encoding": "binary"}]


def test_a_listing_goes_over_pages_in_the_order_of_bytes(kv: KV) -> None:
    names = sorted([f"{number:05}" for number in range(LIST_KEYS + 5)] + ["😀", "～", "Z", "é"], key=str.encode)
    pairs = [pair(name, b"v", expiration=None, metadata={"type": "string"}, binary=False) for name in names]
    kv.put(b"[" + b",".join(pairs) + b"]")
    assert [listed.key for listed in kv.list()] == names
    assert [listed.key for listed in kv.list("0100")] == [name for name in names if name.startswith("0100")]


def test_a_listing_tells_expiration_and_metadata(kv: KV) -> None:
    moment = int(time.time()) + 100
    put(kv, "ends", b"1", expiration=moment)
    put(kv, "stays", b"2")
    assert [(one.key, one.expiration, one.metadata) for one in kv.list()] == [
        ("ends", moment, {"type": "string"}),
        ("stays", None, {"type": "string"}),
    ]


def test_a_bulk_read_gives_text_and_not_every_value_exactly(kv: KV) -> None:
    put(kv, "text", "naïve\0".encode())
    put(kv, "marked", "\ufefftext".encode())
    put(kv, "binary", b"\xff", binary=True)
    put(kv, "__proto__", b"there")
    assert kv.get_texts(["text", "marked", "binary", "__proto__", "absent"]) == {
        "text": "naïve\0",
        "marked": "text",  # if this is ever exact, compare need not read such values alone
        "binary": "\ufffd",
        "__proto__": None,
        "absent": None,
    }


def test_an_expiration_that_is_too_near_refuses_the_whole_put(kv: KV) -> None:
    near = pair("near", b"1", expiration=int(time.time()) + 50, metadata={}, binary=False)
    far = pair("far", b"1", expiration=None, metadata={}, binary=False)
    with pytest.raises(CloudflareError) as refused:
        kv.put(b"[" + far + b"," + near + b"]")
    assert refused.value.status == 400
    assert "expiration" in refused.value.message.lower()
    assert list(kv.list()) == []


def test_deleting_what_is_not_there_is_no_error(kv: KV) -> None:
    put(kv, "there", b"1")
    kv.delete([f"absent-{number}" for number in range(1_100)] + ["there"])
    assert list(kv.list()) == []


@pytest.mark.parametrize("namespace", ["", "a/b"])
def test_what_is_no_id_is_refused(client: Client, namespace: str) -> None:
    with pytest.raises(WrongUse, match="kv_namespace_id"):
        KV(client, namespace)


class FakeRefusals(Client):
    """A fake: the real API may refuse single keys of a put; the local runtime never does."""

    def __init__(self, refused: list[list[str]]) -> None:
        self.refused, self.bodies = refused, list[list[str]]()
        self.base = "http://127.0.0.1"

    def request(self, *_: object, **given: object) -> object:  # type: ignore[override]
        content = given["content"]
        assert isinstance(content, bytes)
        self.bodies.append([one["key"] if isinstance(one, dict) else one for one in orjson.loads(content)])
        return {"unsuccessful_keys": self.refused.pop(0)}


def test_keys_that_were_refused_are_sent_again() -> None:
    fake = FakeRefusals([["b", "c"], ["c"], []])
    pairs = [pair(key, b"1", expiration=None, metadata={}, binary=False) for key in "abc"]
    KV(fake, "fake").put(b"[" + b",".join(pairs) + b"]")
    assert fake.bodies == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_keys_that_stay_refused_are_named() -> None:
    pairs = b"[" + pair("a", b"1", expiration=None, metadata={}, binary=False) + b"]"
    with pytest.raises(CloudflareError, match=r"key a.*1 keys could not be written.*it goes on"):
        KV(FakeRefusals([["a"]] * 3), "fake").put(pairs)
    with pytest.raises(CloudflareError, match="1 keys could not be deleted"):
        KV(FakeRefusals([["a"]] * 3), "fake").delete(["a"])
