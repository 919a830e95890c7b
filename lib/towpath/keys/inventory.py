"""What a Redis database holds, by rule and type, and what could go wrong with it on the way to KV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from redis import Redis

from towpath.checks import Decision, Finding, Progress, silent
from towpath.cloudflare.kv import BASE64_BYTES
from towpath.keys import rules as rule_module
from towpath.keys.rules import (
    LEAST_TTL,
    NO_RULE,
    SAMPLES,
    TYPES,
    VALUE_BYTES,
    Findings,
    KeyRule,
    Matcher,
    name_problem,
    shown,
)
from towpath.keys.source import Facts, Look, Source
from towpath.keys.values import Encoded, encode

# Redis never needs less than a sixth of what the JSON form of a value has (a list of small integers comes nearest).
MEASURED_FROM = VALUE_BYTES // 6
# A table of small members takes eight times its JSON form: what takes ten times as much as KV holds is not even read.
NEVER_READ = VALUE_BYTES * 10
NEVER_READ_STRING = VALUE_BYTES * 2  # Redis allocates a string with room to grow


@dataclass(frozen=True, slots=True)
class Group:
    """The keys of one rule and type; times to live in milliseconds, `bytes` and `largest` of Redis' memory."""

    pattern: str
    do: str
    type: str
    keys: int
    bytes: int
    with_ttl: int
    shortest: int | None
    longest: int | None
    largest: int
    largest_key: str
    encodings: tuple[tuple[str, int], ...]
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """A database as it was looked at.  `vanished` keys were gone when it was their turn."""

    facts: Facts
    rules: tuple[KeyRule, ...]
    keys: int
    bytes: int
    vanished: int
    groups: tuple[Group, ...]
    findings: tuple[Finding, ...]

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The rules that leave keys behind, as the decisions that they are."""
        return rule_module.decisions(self.findings, self.rules)


def inventory(redis: Redis, rules: Sequence[KeyRule], report: Progress = silent) -> Inventory:
    """Look at every key, without its value unless that could be too large; `report` counts keys.

    Raises BadInput when Redis refuses the password or a command, CannotFinish when it does not answer.
    """
    source, matcher = Source(redis), Matcher(rules)
    facts, index = source.facts(), source.index()
    findings, groups, vanished = Findings(), dict[tuple[str, str], _Tally](), 0
    _around(facts, len(index), findings)
    for names in index.pages():
        for name, look in zip(names, source.look(names, encoding=True), strict=True):
            rule = matcher(shown(name))
            if look is None:
                vanished += 1
                findings.add("KE107", rule.pattern if rule else NO_RULE, shown(name))
                continue
            place = (rule.pattern if rule else NO_RULE, look.type)
            groups.setdefault(place, _Tally(rule)).add(look)
            _judge(source, rule, look, findings)
        report(len(names))
    source.unchanged(facts)
    made = tuple(tally.group(*place) for place, tally in sorted(groups.items()))
    return Inventory(
        facts,
        tuple(rules),
        sum(group.keys for group in made),
        sum(group.bytes for group in made),
        vanished,
        made,
        findings.sorted(),
    )


def problem(rule: KeyRule | None, look: Look) -> str:
    """The code of what keeps a key from moving as it is, or KE206 where its rule leaves it behind; "" if nothing."""
    if rule is None:
        return "KE101"
    if rule.do == "drop":
        return "KE206"
    if code := name_problem(look.name):
        return code
    if look.type not in TYPES:
        return "KE102"
    if rule.do == "string" and look.type != "string":
        return "KE202"
    if look.memory > (NEVER_READ_STRING if look.type == "string" else NEVER_READ):
        return "KE201"
    if look.ttl is not None and look.ttl < LEAST_TTL * 1_000:
        return {"keep": "KE203", "lift": "", "drop": "KE205"}[rule.ttl]
    return ""


def too_large(value: Encoded, expires: int | None) -> bool:
    """True if KV would not take the value."""
    in_bulk_only = value.encoding == "binary" and expires is not None
    return len(value.value) > (BASE64_BYTES if in_bulk_only else VALUE_BYTES)


def _judge(source: Source, rule: KeyRule | None, look: Look, findings: Findings) -> None:
    pattern, key = rule.pattern if rule else NO_RULE, shown(look.name)
    code = problem(rule, look)
    detail = {"KE102": look.type, "KE202": look.type, "KE103": f"{len(look.name):,} bytes"}.get(code, "")
    if code:
        findings.add(code, pattern, key, detail)
    if code or rule is None:
        return
    if look.ttl is not None and look.ttl < LEAST_TTL * 1_000:
        findings.add("KE204", pattern, key)
    if look.type == "stream" and source.groups(look.name):
        findings.add("KE207", pattern, key)
    if look.memory > (BASE64_BYTES if look.type == "string" else MEASURED_FROM):
        for found in source.values([look]):
            if found is not None and too_large(encode(found.type, found.value), found.expires):
                findings.add("KE201", pattern, key, f"{look.memory:,} bytes in Redis")


def _around(facts: Facts, keys: int, findings: Findings) -> None:
    for name, count in facts.elsewhere:
        findings.add("KE108", name, count=count)
    if abs(facts.skew) > 1:
        findings.add("KE109", facts.address, detail=f"{facts.skew:+.1f} s")
    if not keys:
        findings.add("KE110", facts.address)


@dataclass(slots=True)
class _Tally:
    """A group that grows."""

    rule: KeyRule | None
    keys: int = 0
    bytes: int = 0
    with_ttl: int = 0
    shortest: int | None = None
    longest: int | None = None
    largest: int = -1
    largest_key: str = ""
    encodings: Counter[str] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)

    def add(self, look: Look) -> None:
        """One more key."""
        self.keys, self.bytes = self.keys + 1, self.bytes + look.memory
        self.encodings[look.encoding] += 1
        if look.ttl is not None:
            self.with_ttl += 1
            self.shortest = look.ttl if self.shortest is None else min(self.shortest, look.ttl)
            self.longest = look.ttl if self.longest is None else max(self.longest, look.ttl)
        if look.memory > self.largest:
            self.largest, self.largest_key = look.memory, shown(look.name)
        if len(self.samples) < SAMPLES:
            self.samples.append(shown(look.name))

    def group(self, pattern: str, type: str) -> Group:
        """The group, finished."""
        return Group(
            pattern,
            self.rule.do if self.rule else "",
            type,
            self.keys,
            self.bytes,
            self.with_ttl,
            self.shortest,
            self.longest,
            self.largest,
            self.largest_key,
            tuple(sorted(self.encodings.items())),
            tuple(self.samples),
        )
