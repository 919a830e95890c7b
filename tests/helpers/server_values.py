"""Every built-in type of PostgreSQL, each with values of it as the texts that PostgreSQL reads.

`SCALARS` are the types by their internal names; `ABSENT` says of each other one why no column can hold a value that
somebody wrote.  Arrays, composites, domains and enums are made over them (`server_tables`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st

Texts = st.SearchStrategy[str]

ABSENT = {
    "gtsvector": "no input function: what a GiST index keeps",
    "pg_brin_bloom_summary": "no input function: what a BRIN index keeps",
    "pg_brin_minmax_multi_summary": "no input function: what a BRIN index keeps",
    "pg_dependencies": "no input function: what ANALYZE computes",
    "pg_mcv_list": "no input function: what ANALYZE computes",
    "pg_ndistinct": "no input function: what ANALYZE computes",
    "pg_node_tree": "no input function: how the catalog keeps expressions",
    "xml": "the packaged server is built without libxml, and refuses every value",
}


@dataclass(frozen=True)
class Scalar:
    """A type: how a column declares it, and values."""

    declared: str
    values: Texts
    ordered: bool = True  # a primary key can be made of it
    sent: bool = True  # it has a binary form; else its text is compared


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "''",
        "\\",
        "\\\\",
        '"',
        "a b ",
        "NULL",
        "null",
        "{}",
        "(,)",
        "\r\n",
        "\t",
        "1e5",
        "é\u0301",
        "😀",
        "\ufeff",
    ]
)
WORD = st.text("abc '\\é😀", min_size=1, max_size=6)


def whole(bits: int, *, signed: bool = True) -> Texts:
    """Integers of so many bits, their ends more often."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = [n for n in (low, low + 1, -1, 0, 1, 2**53, 2**53 + 1, high - 1, high) if low <= n <= high]
    return (st.integers(low, high) | st.sampled_from(ends)).map(str)


def _single(bits: int) -> str:
    return repr(struct.unpack("<f", struct.pack("<I", bits))[0])


def _double(bits: int) -> str:
    return repr(struct.unpack("<d", struct.pack("<Q", bits))[0])


_ODD = st.sampled_from(["NaN", "Infinity", "-Infinity", "-0", "0", "1", "-1", "100", "1e15", "999999999999999", "1e-5"])
FLOAT8 = (st.integers(0, 2**64 - 1).map(_double) | st.floats(allow_nan=False).map(repr) | _ODD).map(
    lambda v: {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(v, v)
)
FLOAT4 = (st.integers(0, 2**32 - 1).map(_single) | _ODD | st.sampled_from(["1e6", "999999", "1234567"])).map(
    lambda v: {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(v, v)
)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)
DIGITS = st.builds(
    lambda sign, whole, part: f"{sign}{whole or '0'}{'.' if part else ''}{part}",
    st.sampled_from(["", "-"]),
    st.text("0123456789", max_size=30),
    st.text("0123456789", max_size=30),
)
NUMERIC = DIGITS | st.sampled_from(
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "0",
        "0.00",
        "-0.0",
        "1e1000",
        "1e-1000",
        "9" * 400,
        "1.10",
        "0." + "0" * 300 + "1",
    ]
)
CENTS = (st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 5, -5, -(2**63), 2**63 - 1])).map(
    lambda n: format(Decimal(n).scaleb(-2), "f")
)
DAY = (
    st.integers(0, 2147483493)
    | st.integers(1721426, 5373484)
    | st.sampled_from([0, 1721425, 1721426, 5373484, 5373485])
)
DATE = DAY.map("J{}".format) | st.sampled_from(["infinity", "-infinity"])
MICROSECONDS = st.integers(0, 86_400_000_000 - 1) | st.sampled_from([0, 1, 500_000, 86_399_999_999])


def clock(microseconds: int) -> str:
    """A time of the day."""
    seconds, part = divmod(microseconds, 1_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{part:06}"


_MOMENT_DAY = st.integers(1, 109203526) | st.integers(2415021, 2488070) | st.sampled_from([1, 1721426, 5373485])
TIMESTAMP = st.builds(lambda day, at: f"J{day} {clock(at)}", _MOMENT_DAY, MICROSECONDS) | st.sampled_from(
    ["infinity", "-infinity"]
)
OFFSET = st.integers(-57_599, 57_599) | st.sampled_from([0, 3600, -12600])


def offset(seconds: int) -> str:
    """An offset from UTC, to the second."""
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


TIMESTAMPTZ = st.builds(lambda at, by: at if "inf" in at else f"{at}{offset(by)}", TIMESTAMP, OFFSET)
TIME = MICROSECONDS.map(clock) | st.just("24:00:00")
TIMETZ = st.builds(lambda at, by: f"{at}{offset(by)}", TIME, OFFSET)
INTERVAL = st.builds(
    "{} months {} days {} microseconds".format,
    st.integers(-(2**31) + 1, 2**31 - 1) | st.integers(-20, 20),
    st.integers(-(2**31) + 1, 2**31 - 1) | st.integers(-40, 40),
    st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-(10**10), 10**10),
) | st.sampled_from(["infinity", "-infinity", "0"])


def _json(null_byte: bool) -> Texts:
    odd = ['"\\u00e9\\n"', '"\\\\"', '"/"', "1e5", "-0", "1.10", "12345678901234567890.123", '"\\ud83d\\ude00"']
    odd += ['"\\u0000"'] if null_byte else []
    leaf = st.sampled_from(["null", "true", "false", '""', *odd]) | st.integers(-(2**70), 2**70).map(str)
    key = st.sampled_from(['"a"', '"a"', '"b"', '""', '" "', '"\\u0061"'])
    space = st.sampled_from(["", " ", "\n "])
    return st.recursive(
        leaf,
        lambda inner: (
            st.builds(lambda s, items: "[" + f",{s}".join(items) + "]", space, st.lists(inner, max_size=3))
            | st.builds(
                lambda s, items: "{" + s + f",{s}".join(f"{k}:{s}{v}" for k, v in items) + "}",
                space,
                st.lists(st.tuples(key, inner), max_size=3),
            )
        ),
        max_leaves=5,
    )


BITS = st.text("01", max_size=20)
IPV4 = st.integers(0, 2**32 - 1).map(lambda n: ".".join(str(n >> s & 255) for s in (24, 16, 8, 0)))
IPV6 = st.integers(0, 2**128 - 1).map(lambda n: ":".join(f"{n >> s & 65535:x}" for s in range(112, -1, -16)))
INET = st.one_of(
    IPV4,
    IPV6,
    st.builds("{}/{}".format, IPV4, st.integers(0, 32)),
    st.builds("{}/{}".format, IPV6, st.integers(0, 128)),
)


def _network(number: int, mask: int) -> str:
    number = number >> (32 - mask) << (32 - mask)
    return f"{'.'.join(str(number >> s & 255) for s in (24, 16, 8, 0))}/{mask}"


def _network6(number: int, mask: int) -> str:
    number = number >> (128 - mask) << (128 - mask)
    return f"{':'.join(f'{number >> s & 65535:x}' for s in range(112, -1, -16))}/{mask}"


CIDR = st.builds(_network, st.integers(0, 2**32 - 1), st.integers(0, 32)) | st.builds(
    _network6, st.integers(0, 2**128 - 1), st.integers(0, 128)
)
POINT = st.builds("({},{})".format, FINITE | _ODD, FINITE | _ODD)
SMALL_POINT = st.builds("({},{})".format, st.integers(-99, 99), st.floats(-99, 99).map(repr))
POINTS = st.lists(SMALL_POINT, min_size=1, max_size=4).map(",".join)
LEXEME = WORD.map(lambda w: "'" + w.replace("\\", "\\\\").replace("'", "''") + "'")
PLACE = st.builds("{}{}".format, st.integers(1, 16383), st.sampled_from(["", "A", "B", "C"]))
TSVECTOR = st.lists(
    st.builds(lambda w, at: w + (":" + ",".join(at) if at else ""), LEXEME, st.lists(PLACE, max_size=3)), max_size=4
).map(" ".join)
TSQUERY = st.recursive(
    st.builds(lambda w, t: w + t, LEXEME, st.sampled_from(["", ":*", ":A", ":AB*"])),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["&", "|", "<->", "<3>"]), inner)
        | inner.map(lambda q: f"!({q})")
    ),
    max_leaves=4,
) | st.just("")
LSN = st.builds("{:X}/{:X}".format, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))


def _snapshot(start: int, steps: list[int]) -> str:
    running = [start + sum(steps[: n + 1]) for n in range(len(steps))]
    return f"{start}:{(running[-1] if running else start) + 1}:{','.join(map(str, running))}"


# the low half of an id is never 0: that is no transaction
_TRANSACTION = st.builds(lambda epoch, number: (epoch << 32) + number, st.integers(0, 2**29), st.integers(3, 2**31))
SNAPSHOT = st.builds(_snapshot, _TRANSACTION, st.lists(st.integers(1, 1000), max_size=4))
VECTOR = st.lists(st.integers(0, 2**15 - 1), max_size=4).map(lambda numbers: " ".join(map(str, numbers)))


def between(values: st.SearchStrategy[int], written: str = "{}") -> Texts:
    """Ranges whose ends are integers, written so; empty and endless ones too."""

    def one(a: int, b: int, opened: str, closed: str, endless: int) -> str:
        low, high = sorted((a, b))
        left = "" if endless & 1 else f'"{written.format(low)}"'
        right = "" if endless & 2 else f'"{written.format(high)}"'
        return f"{opened}{left},{right}{closed}"

    made = st.builds(
        one, values, values, st.sampled_from("[("), st.sampled_from("])"), st.sampled_from([0, 0, 0, 1, 2, 3])
    )
    return made | st.just("empty")


def several(ranges: Texts) -> Texts:
    """Multiranges."""
    return st.lists(ranges, max_size=4).map(lambda found: "{" + ",".join(found) + "}")


_RANGES: dict[str, Texts] = {
    "int4range": between(st.integers(-(2**31), 2**31 - 2)),
    "int8range": between(st.integers(-(2**63), 2**63 - 2)),
    "numrange": between(st.integers(-999, 999), "{}.50"),
    "daterange": between(st.integers(1, 2147483400), "J{}"),
    "tsrange": between(st.integers(1, 109203526), "J{} 12:00:00.000001"),
    "tstzrange": between(st.integers(1, 109203526), "J{} 12:00:00.5+01"),
}
SCALARS: dict[str, Scalar] = {
    "int2": Scalar("smallint", whole(16)),
    "int4": Scalar("integer", whole(32)),
    "int8": Scalar("bigint", whole(64)),
    "oid": Scalar("oid", whole(32, signed=False)),
    "xid": Scalar("xid", whole(32, signed=False), False),
    "xid8": Scalar("xid8", whole(64, signed=False)),
    "cid": Scalar("cid", whole(32, signed=False), False),
    "tid": Scalar("tid", st.builds("({},{})".format, st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1))),
    "bool": Scalar("boolean", st.sampled_from(["t", "f"])),
    "float4": Scalar("real", FLOAT4),
    "float8": Scalar("double precision", FLOAT8),
    "numeric": Scalar("numeric", NUMERIC),
    "money": Scalar("money", CENTS),
    "char": Scalar('"char"', st.integers(0, 127).map(lambda n: chr(n) if n else "") | st.just("\\377")),
    "name": Scalar("name", TEXT),
    "text": Scalar("text", TEXT),
    "varchar": Scalar("varchar(40)", TEXT),
    "bpchar": Scalar("char(40)", TEXT),
    "bytea": Scalar("bytea", st.binary(max_size=20).map(lambda data: "\\x" + data.hex())),
    "date": Scalar("date", DATE),
    "timestamp": Scalar("timestamp", TIMESTAMP),
    "timestamptz": Scalar("timestamptz", TIMESTAMPTZ),
    "time": Scalar("time", TIME),
    "timetz": Scalar("timetz", TIMETZ),
    "interval": Scalar("interval", INTERVAL),
    "uuid": Scalar("uuid", st.uuids().map(str)),
    "json": Scalar("json", _json(null_byte=True), False),
    "jsonb": Scalar("jsonb", _json(null_byte=False)),
    "jsonpath": Scalar(
        "jsonpath", st.sampled_from(["$", "$.a[*] ? (@ > 1)", 'strict $."it\'s"', '$.** ? (@ like_regex "^x")']), False
    ),
    "bit": Scalar("bit(7)", st.text("01", min_size=7, max_size=7)),
    "varbit": Scalar("bit varying(24)", BITS),
    "inet": Scalar("inet", INET),
    "cidr": Scalar("cidr", CIDR),
    "macaddr": Scalar("macaddr", st.binary(min_size=6, max_size=6).map(lambda data: data.hex(":"))),
    "macaddr8": Scalar("macaddr8", st.binary(min_size=8, max_size=8).map(lambda data: data.hex(":"))),
    "point": Scalar("point", POINT, False),
    "line": Scalar("line", st.builds("{{{},{},{}}}".format, FINITE, st.integers(1, 99), FINITE), False),
    "lseg": Scalar("lseg", st.builds("[{},{}]".format, POINT, POINT), False),
    "box": Scalar("box", st.builds("{},{}".format, SMALL_POINT, SMALL_POINT), False),
    "path": Scalar("path", POINTS.map("[{}]".format) | POINTS.map("({})".format), False),
    "polygon": Scalar("polygon", POINTS.map("({})".format), False),
    "circle": Scalar("circle", st.builds("<{},{}>".format, SMALL_POINT, st.integers(0, 999)), False),
    "tsvector": Scalar("tsvector", TSVECTOR),
    "tsquery": Scalar("tsquery", TSQUERY),
    "pg_lsn": Scalar("pg_lsn", LSN),
    "txid_snapshot": Scalar("txid_snapshot", SNAPSHOT, False),
    "pg_snapshot": Scalar("pg_snapshot", SNAPSHOT, False),
    "int2vector": Scalar("int2vector", VECTOR, False),
    "oidvector": Scalar("oidvector", VECTOR),
    "refcursor": Scalar("refcursor", TEXT, False),
    "aclitem": Scalar("aclitem", st.sampled_from(["postgres=r/postgres", "=arwdDxt/postgres"]), False, False),
    "regclass": Scalar("regclass", st.sampled_from(["pg_class", "pg_catalog.pg_type", "-", "4000000000"])),
    "regcollation": Scalar(
        "regcollation", st.sampled_from(['"C"', "default", "-"]).map(lambda c: f'"{c}"' if c == "default" else c)
    ),
    "regconfig": Scalar("regconfig", st.sampled_from(["simple", "english"])),
    "regdictionary": Scalar("regdictionary", st.sampled_from(["simple", "english_stem"])),
    "regnamespace": Scalar("regnamespace", st.sampled_from(["pg_catalog", "-"])),
    "regoper": Scalar("regoper", st.sampled_from(["0", "pg_catalog.||/"])),
    "regoperator": Scalar("regoperator", st.sampled_from(["+(integer,integer)", "-(none,bigint)", "0"])),
    "regproc": Scalar("regproc", st.sampled_from(["now", "pg_catalog.pg_backend_pid", "-"])),
    "regprocedure": Scalar("regprocedure", st.sampled_from(["abs(integer)", "now()", "-"])),
    "regrole": Scalar("regrole", st.sampled_from(["postgres", "-"])),
    "regtype": Scalar("regtype", st.sampled_from(["integer", "timestamp with time zone", '"char"', "text[]", "-"])),
    **{name: Scalar(name, values) for name, values in _RANGES.items()},
    **{
        name.replace("range", "multirange"): Scalar(name.replace("range", "multirange"), several(values))
        for name, values in _RANGES.items()
    },
}


def array_text(items: Sequence[object], bounds: Sequence[int] = ()) -> str:
    """An array as PostgreSQL reads it; `bounds` are the first index of each dimension, where they are not 1."""

    def one(item: object) -> str:
        if item is None:
            return "NULL"
        if isinstance(item, list):
            return "{" + ",".join(map(one, item)) + "}"
        return '"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"'

    body = one(list(items))
    if not bounds:
        return body
    sizes: list[int] = []
    level: object = list(items)
    for _ in bounds:
        assert isinstance(level, list)
        sizes.append(len(level))
        level = level[0]
    return "".join(f"[{low}:{low + size - 1}]" for low, size in zip(bounds, sizes, strict=True)) + "=" + body


def composite_text(fields: Sequence[str | None]) -> str:
    """A row of a composite type as PostgreSQL reads it."""
    quoted = ("" if f is None else '"' + f.replace("\\", "\\\\").replace('"', '""') + '"' for f in fields)
    return "(" + ",".join(quoted) + ")"
