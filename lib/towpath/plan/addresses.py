"""Addresses as they stand in params: of APIs, of servers that hold the source, on this machine or not.

What is refused may hold a password that was typed by mistake, so no error repeats any part of it.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse


def is_loopback(url: str) -> bool:
    """True when the URL speaks to this machine only."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def plain_address(value: str) -> str:
    """The value, if it is the https address of a server, or http on this machine.  Raises ValueError."""
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it must be the plain address of a server")
    if "@" in parts.netloc:
        raise ValueError("who asks stands in keys of its own, never in the address")
    if parts.scheme == "http" and not is_loopback(value):
        raise ValueError("http is allowed on this machine only")
    return value


def server(value: str, scheme: str, path: re.Pattern[str]) -> str:
    """The value, if it is the address of a server without a password, ending in `path`.  Raises ValueError."""
    parts = _split(value)
    if parts.scheme != scheme or not parts.hostname or not path.fullmatch(parts.path) or parts.query or parts.fragment:
        raise ValueError("it must be the address of a server and the name of a database")
    if parts.password is not None:
        raise ValueError("a password stands in its own key, by reference only")
    return value


def may_hold_password(value: object) -> bool:
    """True for what an error must not repeat: an address with a user or a query, and whatever names a password."""
    if not isinstance(value, str):
        return False
    return bool("://" in value and re.search("[@?]", value)) or "password" in value.lower()


def _split(value: str) -> urllib.parse.SplitResult:
    parts = urllib.parse.urlsplit(value)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("its port is no number") from None
    return parts


def matching(shape: re.Pattern[str], value: str) -> str:
    """The value, if it has the shape.  Raises ValueError."""
    if not shape.fullmatch(value):
        raise ValueError("it does not have the right form")
    return value
