"""Numbers as the report writes them."""

from __future__ import annotations

import pytest

from pipelines.evaluation.report import units

MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("ms", "wanted"),
    [
        (0.0, "0.0 ms"),
        (3.44, "3.4 ms"),
        (850, "850 ms"),
        (1240, "1.24 s"),
        (35_270, "35.3 s"),
        (None, "\N{EM DASH}"),
    ],
)
def test_times_have_the_unit_that_suits_them(ms, wanted) -> None:
    assert units.format_time(ms) == wanted.replace(" ", SPACE)


@pytest.mark.parametrize(
    ("value", "wanted"), [(0.102, "+10.2"), (-0.051, f"{MINUS}5.1"), (-0.0001, "0.0"), (0.0, "0.0")]
)
def test_points_have_a_sign_but_zero(value, wanted) -> None:
    assert units.format_points(value) == wanted


def test_amounts_follow_the_metric_s_unit() -> None:
    assert units.format_share(0.6235) == f"62.4{SPACE}%"
    assert units.format_amount(0.6235, "") == "62.4"
    assert units.format_amount(1234.0, "s") == "1.23"
    assert units.format_amount(-1234.0, "s", signed=True) == f"{MINUS}1.23"
    assert units.format_amount(33.36, "ms") == "33.4"
    assert units.format_amount(12_345.6, "tokens") == "12,346"
    assert units.format_interval(-0.02, 0.183, "", signed=True) == f"[{MINUS}2.0, +18.3]"
    assert units.format_interval(None, 0.1, "") == ""


@pytest.mark.parametrize(("p", "wanted"), [(0.0004, f"<{SPACE}0.001"), (0.0321, "0.032"), (1.0, "1.000")])
def test_p_is_never_zero(p, wanted) -> None:
    assert units.format_p(p) == wanted
