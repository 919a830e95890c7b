"""Addresses as they stand in params: of APIs, of servers that hold the source, on this machine or not."""

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
    parts = urllib.parse.urlsplit(value)
    _ = parts.port  # raises ValueError for a port that is no number
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it must be the plain address of a server")
    if parts.scheme == "http" and not is_loopback(value):
        raise ValueError("http is allowed on this machine only")
    return value


def server(value: str, scheme: str, path: re.Pattern[str]) -> str:
    """The value, if it is the address of a server without a password, ending in `path`.  Raises ValueError."""
    parts = urllib.parse.urlsplit(value)
    _ = parts.port  # raises ValueError for a port that is no number
    if parts.scheme != scheme or not parts.hostname or not path.fullmatch(parts.path) or parts.query or parts.fragment:
        raise ValueError("it must be the address of a server and the name of a database")
    if parts.password is not None:
        raise ValueError("a password stands in its own key, by reference only")
    return value


def matching(shape: re.Pattern[str], value: str) -> str:
    """The value, if it has the shape.  Raises ValueError."""
    if not shape.fullmatch(value):
        raise ValueError("it does not have the right form")
    return value
