"""The project's Markdown pages as tests read them: sections, tables, code blocks, links."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^ {0,3}(```+)\s*([\w-]*)")
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^(#{1,6}) +(.*?) *#*$")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A fenced code block: its language, its text, and the line on which it begins."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Where it stands, for a test's id."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def pages() -> list[Path]:
    """Every Markdown page of the project, committed or about to be; below tests/ only the READMEs are pages."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {ROOT / name for name in listed if name and (not name.startswith("tests/") or name.endswith("/README.md"))}
    return sorted(path for path in found if path.is_file())


def text(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def lines(page: Path) -> Iterator[tuple[int, str, str | None]]:
    """(number, line, language) for each line; the language is None outside of a code block."""
    fence, language = "", None
    for number, line in enumerate(text(page).splitlines(), start=1):
        found = _FENCE.match(line)
        if found and not fence:
            fence, language = found[1], found[2]
        elif fence and line.strip() == fence:
            fence, language = "", None
        else:
            yield number, line, language


def blocks(page: Path, *languages: str) -> list[Block]:
    """The code blocks in these languages, in their order."""
    out: list[Block] = []
    body: list[str] = []
    fence, language, start = "", "", 0
    for number, line in enumerate(text(page).splitlines(), start=1):
        found = _FENCE.match(line)
        if found and not fence:
            fence, language, start, body = found[1], found[2], number, []
        elif fence and line.strip() == fence:
            if language in languages:
                out.append(Block(page, start, language, "\n".join(body) + "\n"))
            fence = ""
        elif fence:
            body.append(line)
    assert not fence, f"{page}: a code block that begins in line {start} does not end"
    return out


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return "\n".join(line for _, line, language in lines(page) if language is None)


def links(page: Path) -> list[str]:
    """The targets of its links; what stands in code is no link."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "`code`", prose(page)))


def headings(page: Path) -> list[str]:
    """Its headings as written."""
    return [found[2] for line in prose(page).splitlines() if (found := _HEADING.match(line))]


def anchors(page: Path) -> set[str]:
    """What a link may name after #, as GitHub makes it of headings."""
    out: set[str] = set()
    for heading in headings(page):
        plain = re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number, unique = 0, anchor
        while unique in out:
            number += 1
            unique = f"{anchor}-{number}"
        out.add(unique)
    return out


def section(page: Path, heading: str) -> str:
    """What stands under a heading, its sub-sections included, code blocks too."""
    level, body = 0, []
    for _, line, language in lines(page):
        found = _HEADING.match(line) if language is None else None
        if level and found and len(found[1]) <= level:
            break
        if level:
            body.append(line)
        elif found and found[2] == heading:
            level = len(found[1])
    assert level, f"{page}: no heading {heading!r}"
    return "\n".join(body)


def rows(text: str, *first: str) -> list[list[str]]:
    """The rows of every table in the text whose header begins with these cells."""
    out: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            inside = False
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in _CELL.split(line.strip())[1:-1]]
        if not inside and tuple(cells[: len(first)]) == first:
            inside = True
        elif inside and not re.fullmatch(r":?-+:?", cells[0]):
            out.append(cells)
    return out


def code(cell: str) -> list[str]:
    """What stands in backquotes in a cell or a sentence."""
    return re.findall(r"`([^`]+)`", cell)
