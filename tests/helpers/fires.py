"""Fixtures of checks: a test that makes one code fire, and says which codes fired.

A test under `fires` gives back every code that fired.  It passes if those are the code that it is for, and the ones
that come with it by nature; nothing else may fire beside it.  `FIRED` is how the tests of the registry know which codes
have such a fixture: it cannot name a code whose fixture does not run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from towpath.checks import Check, Verdict

FIRED: dict[str, list[str]] = {}  # code -> tests that make it fire
GOOD = (Verdict.PASS, Verdict.WAIVED)


def fires(code: str, *beside: str) -> Callable[[Callable[..., Iterable[str]]], Callable[..., None]]:
    """The test makes `code` fire, and `beside` with it, and nothing else."""

    def around(test: Callable[..., Iterable[str]]) -> Callable[..., None]:
        FIRED.setdefault(code, []).append(f"{test.__module__}::{test.__name__}")

        @functools.wraps(test)
        def checked(*args: Any, **given: Any) -> None:
            found = set(test(*args, **given))
            assert found == {code, *beside}, sorted(found)

        return checked

    return around


def not_passed(checks: Iterable[Check]) -> set[str]:
    """The codes of the checks that do not pass."""
    return {check.code for check in checks if check.verdict not in GOOD}
