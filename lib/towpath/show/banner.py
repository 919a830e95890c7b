"""The verdict banner: the first thing a reader sees, INCOMPLETE until the last cell says otherwise.

It is displayed by the cell that opens the run and rewritten in place, so that the saved notebook has its verdict on
top.  A cell that raises turns it at once; a kernel that is killed or timed out leaves INCOMPLETE, which is the truth.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

from towpath.checks import Verdict
from towpath.errors import CHECKS_FAILED, TowpathError
from towpath.secrets import scrub
from towpath.show.markup import COLOURS, Shown, displayed, escaped, shell

NOT_YET = "The phase has not come to its end."
_numbers = itertools.count(1)
_watching: list[tuple[Any, Any]] = []


class Banner:
    """The banner of one phase.  `facts` are (label, value) pairs: what is read, what is written, run, plan."""

    def __init__(self, title: str, facts: Sequence[tuple[str, str]] = ()) -> None:
        self.title, self.facts = title, tuple(facts)
        self.verdict, self.sentence = Verdict.INCOMPLETE, NOT_YET
        self._handle: Any = None

    def show(self) -> Banner:
        """Display the banner here, and rewrite it when a later cell raises.  Call it once, in the first step."""
        notebook = shell()
        if notebook is not None:
            self._handle = displayed(self.shown, f"towpath-banner-{next(_numbers)}")
            self._watch(notebook)
        return self

    def finish(self, verdict: Verdict, sentence: str) -> Banner:
        """Rewrite the banner with the phase's verdict and one sentence that says what it rests on."""
        self.verdict, self.sentence = verdict, " ".join(sentence.split())
        if self._handle is not None:
            self._handle.update(self.shown.bundle, raw=True)
        return self

    def broke(self, error: BaseException) -> Banner:
        """A cell raised: FAIL when checks failed, INCOMPLETE for everything else, with the error in one line."""
        line = error.line if isinstance(error, TowpathError) else f"{type(error).__name__}: {error}"
        failed = isinstance(error, TowpathError) and error.exit_code == CHECKS_FAILED
        return self.finish(Verdict.FAIL if failed else Verdict.INCOMPLETE, scrub(line))

    @property
    def shown(self) -> Shown:
        """The banner as it stands."""
        facts = "".join(
            f'<div style="opacity:.9">{escaped(label)}</div><div style="overflow-wrap:anywhere">{escaped(value)}</div>'
            for label, value in self.facts
        )
        grid = "display:grid;grid-template-columns:max-content 1fr;gap:.15em 1em;margin-top:.6em;font-size:.92em"
        html = (
            f'<div role="status" style="background:{COLOURS[self.verdict]};color:#fff;padding:.9em 1.1em;'
            'border-radius:.5em;line-height:1.45;font-family:system-ui,sans-serif">'
            f'<div style="font-size:1.35em;font-weight:700">{escaped(self.verdict)} · {escaped(self.title)}</div>'
            f'<div style="overflow-wrap:anywhere">{escaped(self.sentence)}</div>'
            + (f'<div style="{grid}">{facts}</div>' if facts else "")
            + "</div>"
        )
        width = max((len(label) for label, _ in self.facts), default=0)
        lines = [f"{self.verdict} · {self.title}", self.sentence]
        lines += [f"  {label:<{width}}  {value}" for label, value in self.facts]
        return Shown(html, "\n".join(lines))

    def _watch(self, notebook: Any) -> None:
        def after_cell(outcome: Any) -> None:
            error = outcome.error_before_exec or outcome.error_in_exec
            if isinstance(error, BaseException):
                self.broke(error)

        while _watching:  # a phase that is opened again in the same kernel has a new banner
            events, callback = _watching.pop()
            with contextlib.suppress(ValueError):
                events.unregister("post_run_cell", callback)
        notebook.events.register("post_run_cell", after_cell)
        _watching.append((notebook.events, after_cell))
