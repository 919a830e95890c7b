"""Differences as people read them, and what nobody shall read in a record as a digest."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from towpath.checks import Difference
from towpath.parity.diff import Change
from towpath.parity.paths import BODY, HEADERS, MISSING, ROWS, Path, plain, shown
from towpath.parity.replay import Exercised
from towpath.routes.scrub import ROOT
from towpath.sensitive import NOTHING, Sensitive, digest

LONGEST = 160  # characters of a value
_ALWAYS = re.compile(rf"{ROOT.pattern}|authorization|cookie|session|csrf|otp", re.IGNORECASE)


def differences(
    exercised: Iterable[Exercised], sensitive: Sensitive = NOTHING, *, noise: bool = False
) -> Iterator[Difference]:
    """Every difference, or every noise, by route, request and place, with both values."""
    for one in exercised:
        for change in one.noise if noise else one.differences:
            yield told(one, change, sensitive)


def told(one: Exercised, change: Change, sensitive: Sensitive = NOTHING) -> Difference:
    """One difference of a request: the old side's value is what is expected."""
    sort = "missing" if change.after is MISSING else "extra" if change.before is MISSING else "changed"
    request = f"{one.recorded.method} {one.recorded.path}"
    where = _written(shown(change.path))
    if isinstance(change.before, bytes) and isinstance(change.after, bytes):
        where = f"{where} from byte {_first(change.before, change.after)} on"
    values = (_text(value, change.path, sensitive) for value in (change.before, change.after))
    return Difference(one.recorded.route, request, where, sort, *values)


def _first(one: bytes, other: bytes) -> int:
    """The offset of the first byte that differs."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (left, right) in pairs if left != right), min(len(one), len(other)))


def _text(value: Any, path: Path, sensitive: Sensitive) -> str:
    if value is MISSING:
        return "(nothing)"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes, sha256 {hashlib.sha256(value).hexdigest()[:16]}"
    text = _written(json.dumps(_veiled(value, path, sensitive), ensure_ascii=False, default=plain))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _written(text: str) -> str:
    """A text as a file can hold it: JSON may name halves of characters that are none alone."""
    return text.encode(errors="backslashreplace").decode()


def _veiled(value: Any, path: Path, sensitive: Sensitive) -> Any:
    if path and is_hidden(path, sensitive) and value is not None:
        return digest(_written(json.dumps(value, ensure_ascii=False, sort_keys=True, default=plain)).encode())
    if isinstance(value, dict):
        return {name: _veiled(held, (*path, name), sensitive) for name, held in value.items()}
    if isinstance(value, list):
        return [_veiled(held, (*path, number), sensitive) for number, held in enumerate(value)]
    return value


def is_hidden(path: Path, sensitive: Sensitive) -> bool:
    """Whether a value is shown as a digest: a key that is called like a sensitive column, or like a secret."""
    last = next((step for step in reversed(path) if isinstance(step, str)), "")
    if path[0] == ROWS and len(path) == 5:
        return sensitive.holds(str(path[1]), last) or bool(_ALWAYS.search(last))
    if path[0] not in (BODY, HEADERS) or len(path) < 2:
        return False
    above = [step for step in path[1:] if isinstance(step, str)]
    columns = (pattern.rpartition(".")[2].lower() for pattern in sensitive.patterns)
    named = _ALWAYS.search(last) or any(ROOT.search(step) for step in above)
    return bool(named) or any(fnmatch.fnmatchcase(last.lower(), column) for column in columns)
