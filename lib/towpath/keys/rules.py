"""What becomes of a key, by pattern, and what can be wrong with keys on their way to KV: one code per rule, as data.

Limits are KV's (developers.cloudflare.com/kv/platform/limits): key 512 bytes, value 25 MiB, 60 seconds to live at
least; and one of the local runtime: it takes no more than 3 MB of bytes that are no text together with an expiry.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from towpath.checks import Check, Decision, Finding, Rule, Severity
from towpath.findings import Findings as Collected

KEY_BYTES = 512
VALUE_BYTES = 25 << 20
LEAST_TTL = 60  # seconds
RESERVED = "_towpath/"  # names in the namespace that are ours
SAMPLES = 20  # keys named in one finding
SHOWN = 100  # characters of a key that is named there
TYPES = ("string", "hash", "list", "set", "zset", "stream")
NO_RULE = "(no rule)"

_REFUSE, _DECIDE, _WARN, _NOTE = Severity.REFUSE, Severity.DECIDE, Severity.WARN, Severity.NOTE


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What becomes of the keys that `pattern` matches; of several rules the first one counts.

    `string` moves a string as it is and refuses every other type; `json` moves hash, list, set, sorted set and stream
    as JSON text, and a string as it is; `drop` leaves them behind.  `ttl` says what becomes of a life under 60 seconds,
    which KV cannot hold: `keep` refuses it, `lift` makes it 60, `drop` leaves such a key behind.
    """

    pattern: str  # over names of keys, as in fnmatch: * and ? and [a-z]
    do: Literal["string", "json", "drop"] = "string"
    ttl: Literal["keep", "lift", "drop"] = "keep"
    reason: str = ""

    def matches(self, key: str) -> bool:
        """True if the rule speaks of this key."""
        return fnmatch.fnmatchcase(key, self.pattern)


class Matcher:
    """The rules, ready to be asked about many keys."""

    def __init__(self, rules: Sequence[KeyRule]) -> None:
        self._rules = [(re.compile(fnmatch.translate(rule.pattern)), rule) for rule in rules]

    def __call__(self, key: str) -> KeyRule | None:
        """The first rule that matches; None if none does."""
        return next((rule for pattern, rule in self._rules if pattern.match(key)), None)


def shown(name: bytes) -> str:
    """A key's name as people read it; bytes that are not UTF-8 as \\xff."""
    return name.decode("utf-8", "backslashreplace")


_rule = partial(Rule.of, "keys")

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        # inventory: names and types
        _rule("KE101", "key that no rule matches", _REFUSE, "add a rule for it to keys in mapping.yaml"),
        _rule(
            "KE102",
            "type that Redis itself does not have: a module's",
            _REFUSE,
            "move it by the module's own means, and leave it behind with do: drop",
        ),
        _rule("KE103", "key is longer than 512 bytes", _REFUSE, "shorten it in the application, or do: drop"),
        _rule("KE104", 'key is empty, "." or "..": KV refuses it', _REFUSE, "rename it, or do: drop"),
        _rule("KE105", "key is not UTF-8: names in KV are text", _REFUSE, "rename it, or do: drop"),
        _rule("KE106", "key begins with _towpath/, where receipts stand", _REFUSE, "rename it, or do: drop"),
        _rule(
            "KE107",
            "key that was gone when it was to be read",
            _NOTE,
            "nothing: it expired, or the application deleted it",
        ),
        _rule(
            "KE108",
            "other databases of the same server hold keys",
            _NOTE,
            "look whether the application uses them: only the one named in the params moves",
        ),
        _rule(
            "KE109",
            "clock of the source and clock of this machine differ by more than a second",
            _WARN,
            "set the clocks: expiries are moments, and move as the source's clock has them",
        ),
        _rule("KE110", "no key in the database", _WARN, "look whether source_cache names the right database"),
        # inventory: values and lives
        _rule(
            "KE201",
            "value is larger than KV can hold: 25 MiB; 3 MB where it is not UTF-8 and has an expiry",
            _REFUSE,
            "move it to R2 in the application, or do: drop",
        ),
        _rule(
            "KE202",
            "key is not a string, and its rule is for strings",
            _REFUSE,
            "give the rule do: json, or the key a rule of its own",
        ),
        _rule(
            "KE203",
            "key has less than 60 seconds to live, and its rule says neither lift nor drop",
            _REFUSE,
            "give the rule ttl: lift or ttl: drop",
        ),
        _rule(
            "KE204",
            "key has less than 60 seconds to live: lifted to 60 by its rule",
            _NOTE,
            "nothing: each is listed by the import",
        ),
        _rule(
            "KE205",
            "key has less than 60 seconds to live: left behind by its rule",
            _NOTE,
            "nothing: each is listed by the export and the import",
        ),
        _rule(
            "KE206",
            "key that its rule leaves behind",
            _DECIDE,
            "the rule in mapping.yaml is the decision; accept the number in waivers.yaml",
            "drop",
            "drop",
            "the keys, which stay in Redis",
        ),
        _rule(
            "KE207",
            "stream with consumer groups: its entries move, the groups and what they have pending do not",
            _WARN,
            "let the consumers finish before the cutover",
        ),
        # export, load, proof, delta
        _rule("KE401", "Every key is exported, or named with the reason", _REFUSE, "look at the keys named"),
        _rule("KE402", "Every chunk of the export has its receipt", _REFUSE, "run 04-import again"),
        _rule("KE403", "Number of keys in the namespace", _REFUSE, "look at the missing and foreign keys below"),
        _rule("KE404", "Key is missing in the namespace", _REFUSE, "run the import again"),
        _rule("KE405", "Key in the namespace that the export does not name", _REFUSE, "look who put it there"),
        _rule("KE406", "Value of a key differs", _REFUSE, "look who wrote it; remove the key and import again"),
        _rule("KE407", "Type or encoding in a key's metadata differs", _REFUSE, "look who wrote it"),
        _rule("KE408", "Expiry of a key differs by more than a second", _REFUSE, "look who wrote it"),
        _rule("KE409", "Keys whose life ended meanwhile", _NOTE, "nothing: the source lost them at the same moment"),
        _rule("KE410", "Every change since the import is applied", _REFUSE, "run 06-cutover again"),
    )
}


class Findings(Collected):
    """What the rules find: one finding for each code and pattern, with the first keys named."""

    def __init__(self) -> None:
        super().__init__(RULES, SAMPLES)

    def add(self, code: str, object: str, sample: str = "", detail: str = "", count: int = 1) -> None:
        """One more key for which the rule holds; a long one is cut."""
        super().add(code, object, sample if len(sample) <= SHOWN else f"{sample[:SHOWN]}…", detail, count)


def decisions(findings: Sequence[Finding], rules: Sequence[KeyRule]) -> tuple[Decision, ...]:
    """The rules with `do: drop` as the decisions that they are, for those patterns of which a finding speaks."""
    found = {finding.object for finding in findings if finding.code == "KE206"}
    return tuple(
        Decision("KE206", rule.pattern, "drop", rule.reason)
        for rule in dict.fromkeys(rules)
        if rule.do == "drop" and rule.pattern in found
    )


def check(code: str, object: str, expected: str, found: str, good: bool, keys: Sequence[str] = ()) -> Check:
    """One row of a phase's result about a rule above."""
    return RULES[code].check(object, expected, found, good, keys[:SAMPLES])


def name_problem(name: bytes) -> str:
    """The code of what keeps KV from holding a key of this name; "" if nothing."""
    if name in (b"", b".", b".."):
        return "KE104"
    if len(name) > KEY_BYTES:
        return "KE103"
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return "KE105"
    return "KE106" if name.startswith(RESERVED.encode()) else ""
