"""Does a text look like a secret?  Used to refuse secrets in files before anything repeats them."""

from __future__ import annotations

import math
import re
from collections import Counter

# A token that a machine made up: long, and mixed as words and names never are.
LONG, MIXED_BITS = 24, 3.6

_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")),
    ("a URL with a password", re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a token", re.compile(r"\b(?:gh[opsu]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_live_|rk_live_|npm_)[\w-]{12,}")),
    ("a signed token", re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")),
    ("an authorization header", re.compile(r"\b(?:Bearer|Basic)\s+[A-Za-z0-9+/_.=-]{16,}")),
)
_TOKEN = re.compile(rf"[A-Za-z0-9+_=-]{{{LONG},}}")
_HEX = re.compile(r"^[0-9a-fA-F]{32,}$")
_HOST = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")


def secret_kind(value: object, *, name: bool = False) -> str | None:
    """What kind of secret `value` looks like, in words, or None.

    Hosts of URLs are not looked at: an R2 endpoint carries the account id, which is no secret.  Of a `name` that
    somebody gave to a table or a trigger, only the shapes of known secrets are.
    """
    if not isinstance(value, str):
        return None
    for kind, shape in _SHAPES:
        if shape.search(value):
            return kind
    if name:
        return None
    for token in _TOKEN.findall(_HOST.sub("", value)):
        if _is_made_up(token):
            return "a long random text"
    return None


def _is_made_up(token: str) -> bool:
    if _HEX.match(token):
        return bool(re.search(r"[0-9]", token) and re.search(r"[a-fA-F]", token))
    mixed = all(re.search(shape, token) for shape in ("[a-z]", "[A-Z]", "[0-9]"))
    return mixed and _bits(token) >= MIXED_BITS


def _bits(text: str) -> float:
    """Shannon entropy in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
