"""A real browser for tests: headless Chromium of the npm package, driven by browser.mjs.

One process for each worker; the browser is unpacked once into build/.  It ends with the process that started it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]
NODE = HERE / ".venv" / "bin" / "node"
LARGEST = 1_000_000  # bytes of a page
PACKAGE = HERE / "node_modules" / "@sparticuz" / "chromium" / "package.json"


@dataclass
class Browser:
    """A browser that runs, on the other side of a pipe."""

    process: subprocess.Popen[str]
    said: Path

    def look(self, file: Path, **options: Any) -> dict[str, Any]:
        """Everything that can be found out about a page without knowing what it is about."""
        return self._ask("look", file=str(file), **options)

    def readable(self, file: Path, **options: Any) -> dict[str, Any]:
        """Look at a page and hold it to what every page of ours promises; returns what was seen."""
        seen = self.look(file, **options)
        own = file.resolve().as_uri()
        assert file.stat().st_size < LARGEST, f"{file.name} has {file.stat().st_size:,} bytes"
        assert seen["console"] == []
        assert [url for url in seen["requests"] if url != own and not url.startswith("data:image/")] == []
        assert {state: found for state, found in seen["faults"].items() if found} == {}, file.name
        assert seen["wide"] == {"folded": [], "unfolded": []}, file.name
        assert seen["same"], f"{file.name} says something else without script"
        assert [stop for stop in seen["tabs"] if not stop["seen"]] == [], file.name
        assert seen["tabs"][0]["href"] == "#content", "the first stop leads past what repeats"
        places = [stop["top"] for stop in seen["tabs"][1:] if stop["top"] >= 0]
        assert places == sorted(places), f"{file.name}: Tab goes another way than the eye"
        return seen

    def drive(self, file: Path, *steps: tuple[str, str]) -> list[Any]:
        """Press keys and evaluate expressions on a page whose scripts do not run; returns what was asked for."""
        answer = self._ask("drive", file=str(file), steps=steps)
        assert answer["console"] == [], answer["console"]
        return list(answer["said"])

    def picture(self, file: Path, to: Path, **options: Any) -> None:
        """A picture of the whole page."""
        self._ask("picture", file=str(file), to=str(to), **options)

    def _ask(self, do: str, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line of the other side."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the browser ended: {self.said.read_text(encoding='utf-8')[-2000:]}"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, and end it."""
    version = json.loads(PACKAGE.read_text(encoding="utf-8"))["version"]
    home = HERE / "build" / f"chromium-{version}"
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "stderr")
        with said.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [NODE, Path(__file__).with_name("browser.mjs"), HERE, home],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )
        with process:  # leaving closes its stdin, at which it closes the browser
            browser = Browser(process, said)
            assert browser.answer()["version"]
            yield browser
