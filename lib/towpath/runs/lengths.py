"""What one output may bring into a notebook: long texts are cut there, and kept whole under log/."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from towpath.runs.streams import LongText, StreamText

RICH_LIMIT = 1_500_000  # characters of one HTML or SVG output; a page that embeds more is no page
TEXT_LIMIT = 16_000  # characters of one plain text or traceback
EXIT = "the cell ended the kernel's work: that is a failure, the cells after it did not run"


class Lengths:
    """The limits for one notebook.  `keep` is the folder for whole texts, `stem` names the notebook there."""

    def __init__(self, keep: Path | None, stem: str) -> None:
        self.keep, self.stem = keep, stem

    def stream(self, cell: str, name: str) -> StreamText:
        """Where a stream of a cell goes."""
        return StreamText(*self._path(cell, name))

    def cap(self, kind: str, content: MutableMapping[str, Any], cell: str) -> None:
        """Shorten the content of one output of a cell in place; it is redacted already."""
        if kind == "error":
            text = "\n".join(content["traceback"])
            content["traceback"] = self._short(text, cell, "traceback").split("\n")
            if content["ename"] == "SystemExit":
                # papermill takes an exit with 0 for success
                content["evalue"] = f"{EXIT} (exit {content['evalue'] or '0'})"
                content["traceback"] = [f"STOP: {content['evalue']}"]
            return
        data = content.get("data")
        if not isinstance(data, dict) or kind.startswith("comm"):
            return
        for mime in ("text/plain", "text/markdown", "text/latex"):
            if isinstance(data.get(mime), str):
                data[mime] = self._short(data[mime], cell, "output")
        for mime, name in (("text/html", "html"), ("image/svg+xml", "svg")):
            if isinstance(data.get(mime), str) and len(data[mime]) > RICH_LIMIT:
                said = self._short(data.pop(mime), cell, name)
                data["text/plain"] = f"{data.get('text/plain', '')}\n{said}".strip()

    def _short(self, text: str, cell: str, name: str) -> str:
        if len(text) <= TEXT_LIMIT:
            return text
        kept = LongText(*self._path(cell, name))
        kept.put(text)
        kept.close()
        return kept.text()

    def _path(self, cell: str, name: str) -> tuple[Path | None, str]:
        if self.keep is None:
            return None, ""
        number = 0
        while True:  # never over a text that another output named
            tail = f".{number + 1}" if number else ""
            file = f"{self.stem}.{cell}.{name}{tail}.txt"
            if not (self.keep / file).exists():
                return self.keep / file, f"log/{file}"
            number += 1
