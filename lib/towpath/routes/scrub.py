"""Requests as somebody recorded them, without secrets and without what belongs to one person.

What is taken out becomes a placeholder.  A token stands for whoever had it: the first that is met is the first name of
traffic.tokens, the second the second; the same token is the same name throughout.
"""

from __future__ import annotations

import fnmatch
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from towpath.routes.corpus import Recorded
from towpath.routes.filling import Login, login_request

# Other headers say who asked, from where and with what, and change no answer that should be compared.
KEPT = frozenset(
    {"accept", "content-type", "if-modified-since", "if-none-match", "range", "x-csrf-token", "x-requested-with"}
)
SECRET = re.compile(
    r"(^|[_-])(pass(word|wd|phrase)?|secret|token|api[_-]?key|apikey|auth|authorization|sig|signature|session|"
    r"session[_-]?id|sid|sessionid|jwt|csrf|otp|pin|credential|credentials|private[_-]?key|code)($|[_-])",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_NAME = re.compile(r"[^a-z0-9_.-]+")


class Scrubber:
    """Takes secrets out of requests; one for each corpus, because it remembers whose token it has met.

    `sensitive` are patterns of fields whose values nobody shall read; `looks_secret` says whether a text has the form
    of a secret, whatever field it stands in.
    """

    def __init__(
        self, logins: Mapping[str, Login], sensitive: Iterable[str] = (), *, looks_secret: Callable[[str], bool]
    ) -> None:
        self._logins, self._names = logins, list(logins)
        self._sensitive = [pattern.lower() for pattern in sensitive]
        self._looks_secret = looks_secret
        self._met: dict[str, str] = {}

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The headers that are kept, with names in small letters; a login as a placeholder."""
        out: dict[str, str] = {}
        for given, value in headers:
            name = given.lower()
            if name == "authorization":
                scheme, _, token = value.partition(" ")
                out[name] = f"{scheme} {self.token(token)}" if token else self.token(scheme)
            elif name == "cookie":
                if kept := self._cookies(value):
                    out[name] = kept
            elif SECRET.search(name) or name == "x-csrf-token":
                out[name] = self.token(value)
            elif name in KEPT:
                out[name] = value
        return dict(sorted(out.items()))

    def _cookies(self, value: str) -> str:
        pairs = (part.strip().partition("=") for part in value.split(";"))
        return "; ".join(f"{name}={self.token(held)}" for name, _, held in pairs if _secret_name(name))

    def path(self, path: str) -> str:
        """A path with its query string."""
        bare, mark, query = path.partition("?")
        kept = [urllib.parse.quote(self._plain(urllib.parse.unquote(part)), safe=_SAFE) for part in bare.split("/")]
        return "/".join(kept) + mark + self._pairs(query)

    def body(self, body: bytes, kind: str) -> bytes | None:
        """A body of that content type; None for one that could hold a secret and cannot be read."""
        if not body:
            return body
        if "json" in kind:
            try:
                return json.dumps(self._json(json.loads(body), ""), ensure_ascii=False).encode()
            except ValueError:
                return None
        if "urlencoded" in kind:
            return self._pairs(body.decode("latin-1")).encode("latin-1")
        if "multipart" in kind:
            fields = re.findall(r'name="([^"]*)"', body.decode("latin-1"))
            return None if any(_secret_name(name) or self._hidden(name) for name in fields) else body
        return None if self._looks_secret(body.decode("latin-1")) else body

    def token(self, value: str) -> str:
        """The placeholder of a token; the same for the same token."""
        if value not in self._met:
            at = len(self._met)
            self._met[value] = self._names[at] if at < len(self._names) else f"user{at + 1}"
        return f"{{token:{self._met[value]}}}"

    @property
    def first(self) -> str:
        """The placeholder of the first user."""
        return f"{{token:{self._names[0] if self._names else 'user1'}}}"

    def login(self, route: str) -> Recorded | None:
        """The request that stands for every login by this route; None for a route that is no login."""
        found = next(((name, login) for name, login in self._logins.items() if login.route == route), None)
        return login_request(*found) if found else None

    def _pairs(self, text: str) -> str:
        """Parts of a query string or a form, each as it stands but for the secrets."""
        return "&".join(self._pair(part) for part in text.split("&")) if text else ""

    def _pair(self, part: str) -> str:
        name, mark, value = part.partition("=")
        said, held = urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(value)
        kept = self._value(said, held)
        return part if kept == held else f"{name}{mark}{urllib.parse.quote_plus(kept, safe='{}:')}"

    def _json(self, value: Any, name: str) -> Any:
        if isinstance(value, Mapping):
            return {key: self._json(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._json(item, name) for item in value]
        if isinstance(value, str):
            return self._value(name, value)
        return f"{{id:{_placed(name)}}}" if value is not None and self._hidden(name) else value

    def _value(self, name: str, value: str) -> str:
        if value and _secret_name(name):
            return f"{{token:{_placed(name)}}}"
        return f"{{id:{_placed(name)}}}" if value and self._hidden(name) else self._plain(value)

    def _hidden(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in self._sensitive)

    def _plain(self, value: str) -> str:
        return "{token:unknown}" if self._looks_secret(value) else value


_SAFE = "{}:@!$&'()*+,;=-._~"


def _secret_name(name: str) -> bool:
    return bool(SECRET.search(_CAMEL.sub("_", name)))


def _placed(name: str) -> str:
    """A name as it may stand in a placeholder."""
    return _NOT_NAME.sub("-", name.lower()).strip("-") or "value"
