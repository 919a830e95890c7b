"""How a part of both answers may differ without being called different: rules of mapping.yaml, made to work.

| form | then |
|---|---|
| `ignored` | it is not looked at, and a side need not have it |
| `any order` | a list counts as the things that are in it |
| `seconds`, `seconds 60` | times are cut to whole seconds, or to so many; a time without a zone is taken for UTC |
| `number`, `number 0.01` | numbers are compared by value, or may be so far apart |
| `address` | of an address only path, query and fragment count |

Forms change copies of both sides' trees in the same way, in this order; a form that meets a value that it cannot read
leaves it as it is, so that it differs if it differs.
"""

from __future__ import annotations

import copy
import datetime as dt
import fnmatch
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from towpath.errors import WrongUse
from towpath.parity.diff import same
from towpath.parity.paths import MISSING, Path, Pattern, at, plain

IGNORED, ANY_ORDER, SECONDS, NUMBER, ADDRESS = "ignored", "any order", "seconds", "number", "address"
ORDER = (IGNORED, SECONDS, ADDRESS, NUMBER, ANY_ORDER)  # a list is ordered last, by what the others left
_FORM = re.compile(r"(ignored|any order|address|seconds|number)(?: (\d+(?:\.\d+)?))?")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: for which routes (a pattern with * and ?), which part of the answer, how, and why."""

    route: str
    pattern: Pattern
    form: str
    amount: float
    reason: str

    @classmethod
    def of(cls, route: str, path: str, form: str, reason: str) -> Rule:
        """A rule in the words of mapping.yaml.  Raises WrongUse for a place or a form that there is not."""
        found = _FORM.fullmatch(form)
        if found is None or (found[2] and found[1] not in (SECONDS, NUMBER)):
            step = "write ignored, any order, seconds, seconds 60, number, number 0.01 or address"
            raise WrongUse("no such form", object=form, next=step)
        amount = float(found[2] or (1 if found[1] == SECONDS else 0))
        if found[1] == SECONDS and amount < 1:
            raise WrongUse("times cannot be cut to that", object=form, next="write whole seconds, from 1 on")
        return cls(route, Pattern.of(path), found[1], amount, reason)

    @property
    def name(self) -> str:
        """The rule in a line."""
        more = f" {self.amount:g}" if self.amount != (1 if self.form == SECONDS else 0) else ""
        return f"{self.route} {self.pattern.text} {self.form}{more}"

    def applies(self, route: str) -> bool:
        """Whether it is for this route; the route's own name, or a pattern of it."""
        return route == self.route or fnmatch.fnmatchcase(route, _literal_brackets(self.route))


class Forms:
    """The rules for one route; `used` are those that met something so far."""

    def __init__(self, rules: Iterable[Rule], route: str) -> None:
        mine = [rule for rule in rules if rule.applies(route)]
        self._rules = sorted(mine, key=lambda rule: ORDER.index(rule.form))
        self._numbers = [rule for rule in mine if rule.form == NUMBER]
        self.used: set[Rule] = set()

    def applied(self, tree: Any) -> Any:
        """A copy of a tree, every rule applied."""
        tree = copy.deepcopy(tree)
        for rule in self._rules:
            places = rule.pattern.places(tree)
            if places:
                self.used.add(rule)
            for place in reversed(places):  # what is removed from a list's end moves nothing before it
                _put(tree, place, rule)
        return tree

    def same(self, path: Path, one: Any, other: Any) -> bool:
        """Whether two values are equal, where a rule lets numbers be apart."""
        if same(path, one, other):
            return True
        if not (_is_number(one) and _is_number(other)):
            return False
        return any(rule.pattern.matches(path) and _near(one, other, rule.amount) for rule in self._numbers)


def _literal_brackets(pattern: str) -> str:
    return pattern.replace("[", "[[]")


def _put(tree: Any, place: Path, rule: Rule) -> None:
    holder, last = at(tree, place[:-1]), place[-1]
    if rule.form == IGNORED:
        if isinstance(holder, dict):
            del holder[last]
        else:
            holder[last] = MISSING  # the others keep their numbers
    elif rule.form != NUMBER:
        holder[last] = _CHANGE[rule.form](holder[last], rule.amount)


def _any_order(value: Any, _: float) -> Any:
    return sorted((one for one in value if one is not MISSING), key=_text) if isinstance(value, list) else value


def _seconds(value: Any, amount: float) -> Any:
    if _is_number(value) and math.isfinite(value):
        return int(value // amount * amount)
    if not isinstance(value, str):
        return value
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return value
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    whole = (moment - _EPOCH) // dt.timedelta(seconds=amount)
    return f"{whole * amount:.0f} s"


def _address(value: Any, _: float) -> Any:
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value)
    except ValueError:
        return value
    return urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment)) if parts.netloc else value


_CHANGE: dict[str, Callable[[Any, float], Any]] = {ANY_ORDER: _any_order, SECONDS: _seconds, ADDRESS: _address}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=plain)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _near(one: float, other: float, apart: float) -> bool:
    return one == other or (math.isfinite(one) and math.isfinite(other) and abs(one - other) <= apart)


def unused(rules: Sequence[Rule], met: Iterable[Rule]) -> list[Rule]:
    """The rules that met nothing, in their order."""
    known = set(met)
    return [rule for rule in rules if rule not in known]
