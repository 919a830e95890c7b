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
from towpath.routes.route import parts

# Other headers say who asked, from where and with what, and change no answer that should be compared.
KEPT = frozenset({"accept", "content-type", "if-modified-since", "if-none-match", "range", "x-requested-with"})
# Wherever one of these stands in a name, the name is one of a secret, and so is all that lies below it.
_ROOTS = r"passw|passphrase|passcode|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|jwt"
_LOGIN = r"auth|authorization|session|session[_-]?id|sid"
_OTHERS = r"pass|sig|signature|otp|pin|code"
_WORD = r"(?<![A-Za-z])({})(?![A-Za-z])"
ROOT = re.compile(_ROOTS, re.IGNORECASE)
_OF_LOGIN = re.compile(f"{_ROOTS}|{_WORD.format(_LOGIN)}", re.IGNORECASE)
_OF_SECRET = re.compile(f"csrf|xsrf|{_ROOTS}|{_WORD.format(f'{_LOGIN}|{_OTHERS}')}", re.IGNORECASE)
# A number is one only where the whole word says so: `max_tokens` is a number like others.
_OF_NUMBER = re.compile(_WORD.format(f"password|passcode|pwd|secret|token|{_LOGIN}|{_OTHERS}"), re.IGNORECASE)
# A text that tells one: an address with `?token=…`, a query with `password: "…"`, an element `<password>…`.
_TOLD = re.compile(rf"""({_ROOTS})[\w\]"'-]*\s*[:=>]\s*["']?[^\s"'&;,<>]""", re.IGNORECASE)
_FORGERY = re.compile(r"csrf|xsrf", re.IGNORECASE)
_FORM = re.compile(r"[^\s=&]+=[^\s&]*(&[^\s&]*)*")
_FIELD = re.compile(r'name\*?="?([^";\r\n]*)', re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary="?([^";]+)', re.IGNORECASE)
_BELOW = re.compile(r"[.\[\]:]+")
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
            elif _FORGERY.search(name) or _OF_LOGIN.search(name):
                out[name] = self._login(name, value)
            elif name in KEPT:
                out[name] = value
        return dict(sorted(out.items()))

    def _cookies(self, value: str) -> str:
        pairs = (part.strip().partition("=") for part in value.split(";"))
        named = ((name, held) for name, _, held in pairs if _FORGERY.search(name) or _OF_LOGIN.search(_words(name)))
        return "; ".join(f"{name}={self._login(name, held)}" for name, held in named)

    def _login(self, name: str, value: str) -> str:
        """A token against forged requests is nobody's login: it would take the place of a user's."""
        return f"{{token:{_placed(name)}}}" if _FORGERY.search(name) else self.token(value)

    def path(self, path: str, pattern: str = "") -> str:
        """A path with its query string; `pattern` is its route's, whose parts have names."""
        bare, mark, query = path.partition("?")
        found, named = bare.split("/"), pattern.split("/")
        names = [next(parts(one), "") for one in named] if len(named) == len(found) else [""] * len(found)
        kept = (self._value(name, urllib.parse.unquote(part)) for name, part in zip(names, found, strict=True))
        return "/".join(urllib.parse.quote(part, safe=_SAFE) for part in kept) + mark + self._pairs(query)

    def body(self, body: bytes, kind: str) -> bytes | None:
        """A body of that content type; None for one that could hold a secret and cannot be read."""
        kind, text = kind.lower(), body.decode("latin-1")
        if "multipart" in kind:
            return None if self._in_parts(text, kind) else body
        if "urlencoded" in kind or ("json" not in kind and _FORM.fullmatch(text)):
            return self._pairs(text).encode("latin-1")
        try:
            return json.dumps(self._json(json.loads(body), ""), ensure_ascii=False).encode() if body else body
        except (ValueError, RecursionError):
            told = ROOT if _is_text(body) else _TOLD  # three letters in a row say nothing in a picture
            return None if "json" in kind or told.search(text) or self._looks_secret(text) else body

    def _in_parts(self, text: str, kind: str) -> bool:
        """Whether a form in parts may hold a secret; the line between the parts is none, though it looks like one."""
        between = _BOUNDARY.search(kind)
        plain = re.sub(re.escape(between[1]), "", text, flags=re.IGNORECASE) if between else text
        named = any(_is_secret(name) or self._hidden(name) for name in _FIELD.findall(plain))
        return named or self._plain(plain) != plain

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
        if ";" in part and not _is_secret(said):  # the other sign that may stand between two pairs
            return ";".join(self._pair(one) for one in part.split(";"))
        if self._plain(said) != said:
            return f"{{token:unknown}}{mark}{_quoted(self._value(said, held))}"
        kept = self._value(said, held)
        return part if kept == held else f"{name}{mark}{_quoted(kept)}"

    def _json(self, value: Any, name: str) -> Any:
        """`name` is the key that a value stands under, or the one above it that says what all below it is."""
        if isinstance(value, Mapping):
            above = bool(ROOT.search(name)) or self._hidden(name)
            return {self._plain(key): self._json(item, name if above else key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._json(item, name) for item in value]
        if isinstance(value, str):
            return self._value(name, value)
        if not isinstance(value, bool) and value is not None and _OF_NUMBER.search(_words(name)):
            return f"{{token:{_placed(name)}}}"
        return f"{{id:{_placed(name)}}}" if value is not None and self._hidden(name) else value

    def _value(self, name: str, value: str) -> str:
        if value and _is_secret(name):
            return f"{{token:{_placed(name)}}}"
        return f"{{id:{_placed(name)}}}" if value and self._hidden(name) else self._plain(value)

    def _hidden(self, name: str) -> bool:
        words = _BELOW.split(name.lower())
        return any(fnmatch.fnmatchcase(word, pattern) for word in words for pattern in self._sensitive)

    def _plain(self, value: str) -> str:
        return "{token:unknown}" if self._looks_secret(value) or _TOLD.search(value) else value


_SAFE = "{}:@!$&'()*+,;=-._~"


def _quoted(text: str) -> str:
    return urllib.parse.quote_plus(text, safe="{}:")


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _words(name: str) -> str:
    """A name with its words apart: `apiCode` as `api_Code`."""
    return _CAMEL.sub("_", name)


def _is_secret(name: str) -> bool:
    return bool(_OF_SECRET.search(_words(name)))


def _placed(name: str) -> str:
    """A name as it may stand in a placeholder."""
    return _NOT_NAME.sub("-", name.lower()).strip("-") or "value"
