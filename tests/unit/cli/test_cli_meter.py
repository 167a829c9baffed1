"""How far a run is, as a terminal and a pipe show it."""

from __future__ import annotations

import io

from rich.console import Console

from pipelines.evaluation.runner import Count
from services.cli.console import Output
from services.cli.meter import Meter


def test_what_a_run_decides_stands_below_the_bars_on_a_terminal() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with Meter(Output(console, console)) as meter:
        meter.begin("asking", {"small": Count(0, 4), "large": Count(0, 4)})
        meter.note("1 of at most 4 questions: correct -0.9 to +0.9\x1b[2J")
        meter.advance("small")
        meter.note("2 of at most 4 questions: correct -0.5 to +0.8")
    shown = text.getvalue()
    assert "2 of at most 4 questions: correct -0.5 to +0.8" in shown
    assert "+0.9\x1b[2J" not in shown
    assert "asking small" in shown


def test_elsewhere_it_is_a_plain_line_now_and_then() -> None:
    text = io.StringIO()
    console = Console(file=text, width=120)
    with Meter(Output(console, console)) as meter:
        meter.begin("asking", {"small": Count(0, 4)})
        for number in range(3):
            meter.note(f"{number} of at most 4 questions")
    assert text.getvalue().splitlines() == ["0 of at most 4 questions", "asking: small 0/4"]
