"""Secrets by reference: params name where a secret lies, never the secret.

A reference is `env:NAME` (an environment variable) or `file:PATH` (a file whose stripped content is the secret,
used for credentials that the local runtime makes up).  Every secret that is revealed is remembered in this
process, so that `scrub` can remove it, and its usual encodings, from any text before it reaches disk.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from towpath.errors import WrongUse

REFERENCE = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")
MASK = "[secret {name}]"
SHORTEST = 6  # shorter values would mask ordinary words
LINE = 16  # a line of a longer secret (a PEM key) that is masked on its own; shorter ones are ordinary words
# What stands between two parts of a text that was broken: a line break, its indents, Python's way to break a literal.
_BREAKS = tuple(
    re.compile(gap)
    for gap in (
        r"\r?\n",
        r"[ \t]*\r?\n[ \t]*",
        r"[ \t]*\\\r?\n[ \t]*",
        r"""["'][ \t]*\\?\r?\n[ \t]*["']""",
    )
)
_LOOSE = re.compile(r"""[\s"'\\]+""")

_known: dict[str, str] = {}  # text to mask -> name of the reference


class Secret:
    """A secret that shows only the name of its reference."""

    def __init__(self, reference: str, root: Path = Path()) -> None:
        if not REFERENCE.match(reference):
            raise WrongUse(
                "a secret must be given by reference",
                object="params",
                next="write env:NAME or file:PATH instead of the secret itself",
            )
        self.reference = reference
        self._root = root

    def reveal(self) -> str:
        """Return the secret, and remember it for `scrub`.  Raises WrongUse when it is not there."""
        kind, _, name = self.reference.partition(":")
        if kind == "env":
            value = os.environ.get(name, "")
        else:
            path = self._root / name
            value = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if not value:
            where = f"environment variable {name}" if kind == "env" else f"file {name}"
            raise WrongUse(f"the secret is missing: {where} is empty", next=f"set {where} and start again")
        remember(value, self.reference)
        return value

    def bearer(self) -> str:
        """The Authorization header that carries the secret.  Raises WrongUse for what no header can carry."""
        value = self.reveal()
        if not (value.isascii() and value.isprintable()):
            step = "let it name the token alone: one line of printable ASCII"
            raise WrongUse("is no token: a header cannot carry it", object=self.reference, next=step)
        return f"Bearer {value}"

    def __repr__(self) -> str:
        return f"Secret({self.reference})"

    __str__ = __repr__


def remember(value: str, name: str) -> None:
    """Mask `value`, its lines, and what it looks like in URLs, JSON, HTML, repr, hex and base64, from now on."""
    if len(value) < SHORTEST:
        return
    raw = value.encode()
    lines = value.splitlines()
    forms = {
        value,
        *(line for line in lines if len(lines) > 1 and len(line) >= LINE),
        repr(value)[1:-1],
        repr(raw)[2:-1],
        html.escape(value),
        html.escape(value, quote=False),
        urllib.parse.quote(value),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        *_in_base64(raw),
        raw.hex(),
        raw.hex().upper(),
    }
    for form in forms:
        if len(form) >= SHORTEST:
            _known[form] = name


def _in_base64(raw: bytes) -> set[str]:
    """What is the same in every base64 text that holds these bytes, e.g. as the password after `user:` in a header.

    Three bytes become four characters, so there are three ways to stand in it; characters that also depend on the
    bytes around are left out.
    """
    forms = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw + bytes(2)).decode()
        sure = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        forms |= {sure, sure.replace("+", "-").replace("/", "_")}
    return forms


def known() -> Mapping[str, str]:
    """Every text that `scrub` masks, with the name of its reference.  Never print it, never store it."""
    return dict(_known)


def scrub(text: str) -> str:
    """Return `text` with every remembered secret replaced by the name of its reference, broken over lines or not."""
    longest_first = sorted(_known, key=len, reverse=True)
    for value in longest_first:
        if value in text:
            text = text.replace(value, MASK.format(name=_known[value]))
    return _scrub_broken(text, longest_first) if "\n" in text else text


def _scrub_broken(text: str, values: list[str]) -> str:
    """The same for secrets that a line break stands in."""
    tight = _LOOSE.sub("", text)
    for value in [value for value in values if _LOOSE.sub("", value) in tight]:
        for gap in _BREAKS:
            text = _mask_over(gap, text, value)
    return text


def _mask_over(gap: re.Pattern[str], text: str, value: str) -> str:
    starts = _starts(gap.sub("", text), value)
    if not starts:
        return text
    places, parts, at = _places_of(gap, text), [], 0
    for start in starts:
        first, last = places[start], places[start + len(value) - 1]
        if first >= at:
            parts += [text[at:first], MASK.format(name=_known[value])]
            at = last + 1
    return "".join((*parts, text[at:]))


def _starts(text: str, value: str) -> list[int]:
    starts, at = [], -1
    while (at := text.find(value, at + 1)) >= 0:
        starts.append(at)
    return starts


def _places_of(gap: re.Pattern[str], text: str) -> list[int]:
    """Where each character stands that is left when the breaks are taken out."""
    left: list[int] = []
    at = 0
    for found in gap.finditer(text):
        left.extend(range(at, found.start()))
        at = found.end()
    left.extend(range(at, len(text)))
    return left
