"""The chart of requests over time: its words, its numbers, and nothing drawn where a side answered nothing."""

from __future__ import annotations

import base64
import re

import pytest

from towpath.show import Live, Moment, requests_over_time
from towpath.show import timeline as module

POINTS = [
    (0.0, "origin", 5.0, 0, 20),
    (2.0, "origin", 4.0, 1, 30),
    (1.0, "worker", 3.0, 0, 25),
    (2.0, "gateway", 1.0, 0, 1),
]


def picture(html: str) -> str:
    found = re.search(r"data:image/svg\+xml;base64,([^\"]+)", html)
    assert found
    return base64.b64decode(found[1]).decode()


def test_the_chart_has_an_alternative_text_and_its_marks_as_a_table() -> None:
    shown = requests_over_time("Requests", "Five on the old side.", POINTS, [Moment(1.5, "split 10")], 500)
    assert 'alt="Five on the old side."' in shown.html
    assert "split 10" in shown.html
    assert shown.text.startswith("Five on the old side.")
    assert picture(shown.html).count("<path") > 5


def test_the_same_numbers_give_the_same_bytes() -> None:
    first, second = (requests_over_time("R", "a", POINTS, [], 500).html for _ in range(2))
    assert first == second


def test_a_side_that_answered_nothing_stands_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[float]] = {}
    from matplotlib.axes import Axes

    plot = Axes.plot

    def kept(self: Axes, *args: object, **given: object) -> object:
        if "label" in given:
            drawn[str(given["label"])] = list(args[1])  # type: ignore[call-overload]
        return plot(self, *args, **given)

    monkeypatch.setattr(Axes, "plot", kept)
    requests_over_time("R", "a", POINTS, [], 500)
    assert drawn[module.SIDES["origin"][0]] == [5.0, 0.0, 4.0]
    assert drawn[module.SIDES["worker"][0]] == [0.0, 3.0, 0.0]
    assert drawn["with errors"] == [4.0]


def test_without_a_line_there_is_still_a_chart_that_says_so() -> None:
    assert "No request line was written." in requests_over_time("R", "No request line was written.", [], [], 500).text


def test_outside_a_notebook_nothing_is_displayed(capsys: pytest.CaptureFixture[str]) -> None:
    Live().put(requests_over_time("R", "a", [], [], 500))
    assert capsys.readouterr() == ("", "")
