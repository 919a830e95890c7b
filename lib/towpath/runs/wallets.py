"""Where the tools of a migration keep secrets in a home folder: masked, though nothing refers to them.

An operator's machine holds more secrets than the params name: libpq, AWS's tools, curl and wrangler have files of their
own, and a library may quote one of them in an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from towpath.secrets import remember

LARGEST = 1 << 20  # bytes; a larger file is none of these
_ESCAPED = re.compile(r"\\(.)")
_FIELD = re.compile(r"(?<!\\):")
_SETTING = re.compile(
    r"""^\s*(?:password|aws_secret_access_key|aws_session_token|aws_access_key_id|oauth_token|refresh_token|api_token)"""
    r"""\s*=\s*(?P<quote>["']?)(?P<value>.+?)(?P=quote)\s*$""",
    re.IGNORECASE | re.MULTILINE,
)
_LOGIN = re.compile(r"\bpassword\s+(\S+)")


def remember_wallets() -> None:
    """Remember the secrets of this account's files; what is not there or cannot be read is passed over."""
    for path in _places("PGPASSFILE", ".pgpass"):
        for line in _text(path).splitlines():
            fields = _FIELD.split(line, maxsplit=4)
            if len(fields) == 5 and not line.startswith("#"):
                remember(_ESCAPED.sub(r"\1", fields[4]), "file:.pgpass")
                remember(fields[4], "file:.pgpass")
    for setting, name in (
        ("PGSERVICEFILE", ".pg_service.conf"),
        ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ("AWS_CONFIG_FILE", ".aws/config"),
        ("", ".wrangler/config/default.toml"),
        ("", ".config/.wrangler/config/default.toml"),
    ):
        for path in _places(setting, name):
            for found in _SETTING.finditer(_text(path)):
                remember(found["value"], f"file:{name}")
    for path in _places("NETRC", ".netrc"):
        for word in _LOGIN.findall(_text(path)):
            remember(word, "file:.netrc")


def _places(setting: str, name: str) -> Iterator[Path]:
    """The file that an environment variable names, and the one in the home folder."""
    given = os.environ.get(setting, "") if setting else ""
    if given:
        yield Path(given)
    home = os.environ.get("HOME", "")
    if home:
        yield Path(home) / name


def _text(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
