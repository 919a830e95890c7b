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
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        raw.hex(),
        raw.hex().upper(),
    }
    for form in forms:
        if len(form) >= SHORTEST:
            _known[form] = name


def known() -> Mapping[str, str]:
    """Every text that `scrub` masks, with the name of its reference.  Never print it, never store it."""
    return dict(_known)


def scrub(text: str) -> str:
    """Return `text` with every remembered secret replaced by the name of its reference."""
    for value in sorted(_known, key=len, reverse=True):
        if value in text:
            text = text.replace(value, MASK.format(name=_known[value]))
    return text
