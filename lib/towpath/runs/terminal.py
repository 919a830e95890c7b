"""What a run prints: one line for each phase, which moves while the phase works and stays when it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from towpath.runs.results import PhaseResult

QUIET = 15.0  # seconds between two progress lines where nothing can be rewritten


class Terminal:
    """Lines on a stream; rewritten in place where the stream is a terminal."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._live = out.isatty()
        self._width = 0
        self._said = 0.0

    def line(self, text: str = "") -> None:
        """A line that stays."""
        padding = " " * max(0, self._width - len(text)) if self._live else ""
        start = "\r" if self._live and self._width else ""
        self._width = 0
        print(f"{start}{text}{padding}", file=self._out, flush=True)

    def moving(self, text: str, seconds: float) -> None:
        """A line that the next one replaces; elsewhere than in a terminal, one every 15 seconds of a phase."""
        if self._live:
            text = text[:118]
            print(f"\r{text}{' ' * max(0, self._width - len(text))}", end="", file=self._out, flush=True)
            self._width = len(text)
        elif seconds - self._said >= QUIET or seconds < self._said:
            self._said = seconds if seconds >= QUIET else 0.0
            if seconds >= QUIET:
                print(text, file=self._out, flush=True)

    def phase(self, result: PhaseResult) -> None:
        """How a phase ended."""
        seconds, peak = result.number("seconds") or 0.0, result.number("kernel_peak_memory")
        memory = f"  {peak / 1e6:5.0f} MB" if peak else " " * 10
        counts = ", ".join(f"{count} {verdict}" for verdict, count in result.counts.items())
        self.line(f"{result.stem:<16}{result.verdict!s:<11}{seconds:7.1f} s{memory}  {counts}".rstrip())
        if result.error:
            self.line(f"    {result.error}")


class Progress:
    """The newest progress that the kernel wrote, read from where the last look ended.

    The file holds JSON lines as `towpath.show.progress` writes them; a line that is not whole yet is left for later.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0
        self._text = ""

    def newest(self) -> str:
        """The newest state in one line, "" before the first."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return self._text
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in reversed(whole.splitlines()):
            try:
                state = json.loads(line)
            except ValueError:
                continue
            if isinstance(state, dict):
                self._text = said(state)
                break
        return self._text


def said(state: Mapping[str, Any]) -> str:
    """A progress state in words: rows 120,000 of 200,000 (60 %), 80,000 rows/s, 1 s left."""
    unit = str(state.get("unit") or "")
    done, total, rate, left = (state.get(key) for key in ("done", "total", "rate", "left"))
    if unit == "bytes":
        unit = "MB"
        done, total, rate = (value / 1e6 if isinstance(value, (int, float)) else value for value in (done, total, rate))
    text = f"{state.get('label') or ''} {_number(done)}"
    if isinstance(total, (int, float)) and total:
        share = f" ({float(done) / total:.0%})" if isinstance(done, (int, float)) else ""
        text += f" of {_number(total)}{share}"
    text = f"{text} {unit}".strip()
    if isinstance(rate, (int, float)) and rate > 0:
        text += f", {_number(rate)} {unit}/s".rstrip()
    if isinstance(left, (int, float)):
        text += f", {left:.0f} s left"
    return text


def _number(value: object) -> str:
    if isinstance(value, float):
        value = round(value)
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
