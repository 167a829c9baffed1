"""The table of simulated promises: modules found by listing the folder, and a row that fails is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.simulations import Row, make_row
from tests.bench.simulations.__main__ import format_row, list_simulations

ROOT = Path(__file__).parents[3]


def test_modules_of_the_folder_are_found() -> None:
    assert {"differences", "intervals", "reports"} <= set(list_simulations())


def test_a_row_outside_its_limits_fails() -> None:
    assert make_row("alarms", [True] * 5 + [False] * 95, 0.0, 0.055).held
    row = make_row("alarms", [True] * 6 + [False] * 94, 0.0, 0.055)
    assert (row.measured, row.simulations, row.held) == (0.06, 100, False)
    assert format_row(row).endswith("FAILS")
    assert "6.0% ±  2.4%" in format_row(row)
    assert make_row("none at all", [False] * 100, 0.0, 0.055).error > 0
    assert "0.5 ±" in format_row(Row("share", 0.5, 0.1, 0.0, 0.5, 10, form=".2g"))


def test_the_exit_code_says_whether_all_hold() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.bench.simulations",
            "--only=intervals",
            "--sizes=30",
            "--simulations=2",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = done.stdout.count("FAILS")
    assert done.returncode == (1 if failed else 0), done.stderr
    assert (f"{failed} rows do not hold" in done.stderr) == bool(failed)
    assert "coverage: a share of 70 %, n = 30" in done.stdout
