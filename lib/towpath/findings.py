"""What rules find, collected: counted for each code and object, with the first that were met as samples."""

from __future__ import annotations

from collections.abc import Mapping

from towpath.checks import Finding, Rule


class Findings:
    """Collects what rules find, in memory that does not grow with what they look at."""

    def __init__(self, rules: Mapping[str, Rule], samples: int) -> None:
        """`samples`: how many are named in one finding; all are counted."""
        self._rules, self._samples = rules, samples
        self._seen: dict[tuple[str, str], tuple[int, list[str], str]] = {}

    def add(self, code: str, object: str, sample: str = "", detail: str = "", count: int = 1) -> None:
        """One more `sample` for which the rule holds; `detail` is said with the first one of its object."""
        total, samples, first = self._seen.get((code, object), (0, [], detail))
        if sample and len(samples) < self._samples:
            samples.append(sample)
        self._seen[code, object] = (total + count, samples, first)

    def sorted(self) -> tuple[Finding, ...]:
        """The findings in the order of code and object."""
        out = []
        for (code, object), (count, samples, detail) in sorted(self._seen.items()):
            title = self._rules[code].title + (f" ({detail})" if detail else "")
            message = title + (f": {count:,}" if count > 1 else "")
            out.append(Finding(code, object, count, message, tuple(samples)))
        return tuple(out)
