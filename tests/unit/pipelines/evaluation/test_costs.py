"""What answers cost, in money and energy, and what asking again changes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.prices import Price, parse_prices
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.report.building import build_report
from pipelines.evaluation.report.writing import render_html, render_markdown
from pipelines.evaluation.runner.energy import find_meter
from pipelines.evaluation.statistics.ratio import ratio_interval
from services.core.errors import InvalidRequest
from tests.unit.pipelines.evaluation.runs import RIGHT, WRONG, Said, question, run

NO_PLOTS = dict.fromkeys(("forest", "frontier", "coverage", "waterfall", "ecdf", "thinking", "goodput"))
PRICES = {"small": Price(prompt=1, completion=10), "large": Price(prompt=2, completion=100)}


def made_run(right: int, *, energy: float | None = None) -> Bundle:
    """Of 60 questions small has 20 right and large so many; large uses 20 to 22 tokens, small 10."""
    asked = [question(f"q{number:02}") for number in range(60)]
    costly = [
        Said(RIGHT.content if number < right else WRONG.content, tokens=20 + number % 3)
        for number in range(60)
    ]
    made = run(asked, {"small": [RIGHT] * 20 + [WRONG] * 40, "large": costly})
    answers = [answer.model_copy(update={"energy": energy}) for answer in made.answers]
    manifest = made.manifest.model_copy(update={"prices": PRICES})
    return made.model_copy(update={"manifest": manifest, "answers": tuple(answers)})


def test_cost_per_answer_and_per_extra_correct_answer() -> None:
    small, large = compute_results(made_run(50)).costs
    assert (small.unit, small.n, small.extra) == ("USD", 60, None)
    assert small.value == pytest.approx((9 * 1 + 10 * 10) / 1e6)
    extra = ((9 * 2 + 21 * 100) - (9 * 1 + 10 * 10)) / 1e6
    assert large.extra == pytest.approx(extra)
    assert large.per_extra == pytest.approx(extra / (30 / 60))
    assert 0 < large.per_extra_low < large.per_extra < large.per_extra_high
    assert large.sentence == ""


def test_where_no_answer_more_is_right_none_has_a_price() -> None:
    [_, large] = compute_results(made_run(20)).costs
    assert (large.per_extra, large.sentence) == (None, "no extra correct answer")
    [_, large] = compute_results(made_run(22)).costs
    assert large.per_extra > 0
    assert (large.per_extra_low, large.per_extra_high) == (None, None)
    assert "not beyond chance" in large.sentence


def test_energy_is_a_cost_too() -> None:
    found = compute_results(made_run(50, energy=12.5)).costs
    assert {(cost.arm, cost.unit) for cost in found} == {
        ("small", "USD"),
        ("large", "USD"),
        ("small", "J"),
        ("large", "J"),
    }
    assert {cost.value for cost in found if cost.unit == "J"} == {12.5}


def test_a_ratio_s_interval_is_fieller_s() -> None:
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        under = generator.normal(1.0, 1.0, size=60)
        over = 3 * under + generator.normal(0.0, 1.0, size=60)
        low, high = ratio_interval(over, under, np.arange(60), 60)
        covered.append(low <= 3 <= high)
    assert 0.92 <= np.mean(covered) <= 0.98
    assert ratio_interval(np.ones(60), np.tile([1.0, -1.0], 30), np.arange(60), 60) is None


def test_prices_are_read_as_they_are_written() -> None:
    assert parse_prices("", ["small"]) == {}
    assert parse_prices("small=0.15/0.60, large@64=1/4EUR", ["small", "large@64"]) == {
        "small": Price(prompt=0.15, completion=0.6),
        "large@64": Price(prompt=1, completion=4, currency="EUR"),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("small", "ARM=PROMPT"),
        ("small=1", "ARM=PROMPT"),
        ("huge=1/2", "no arm 'huge'"),
        ("small=1/2,small=1/2", "already"),
    ],
)
def test_prices_that_are_none(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_prices(text, ["small"])


def make_domain(root: Path, folder: str, name: str, energy: int, most: int = 1_000_000) -> Path:
    """Write one domain of a made-up powercap tree."""
    domain = root / folder
    domain.mkdir(parents=True)
    for file, value in (("name", name), ("energy_uj", energy), ("max_energy_range_uj", most)):
        (domain / file).write_text(f"{value}\n")
    return domain


def test_packages_and_memory_are_counted_once(tmp_path: Path) -> None:
    packages = [make_domain(tmp_path, f"intel-rapl:{number}", f"package-{number}", 100) for number in (0, 1)]
    memory = make_domain(tmp_path, "intel-rapl:0:2", "dram", 100)
    for folder, name in (
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:9", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ):
        make_domain(tmp_path, folder, name, 100)
    (tmp_path / "intel-rapl").mkdir()  # the driver itself, which counts nothing
    meter = find_meter(tmp_path)
    assert meter is not None
    before = meter.read()
    for domain, energy in ((packages[0], 600_100), (packages[1], 50), (memory, 200_100)):
        (domain / "energy_uj").write_text(f"{energy}\n")
    # 0.6 J and 0.2 J, and the second package's counter began again after 1,000,000
    assert meter.joules_between(before, meter.read()) == pytest.approx(
        0.6 + 0.2 + (50 - 100 + 1_000_001) / 1e6, abs=1e-3
    )
    (memory / "energy_uj").unlink()
    assert meter.read() == ()
    assert meter.joules_between(before, meter.read()) is None


def test_without_a_meter_there_is_none(tmp_path: Path) -> None:
    assert find_meter(tmp_path / "none") is None
    make_domain(tmp_path, "intel-rapl:0:0", "core", 5)
    assert find_meter(tmp_path) is None


def test_variance_over_repeats_is_told_from_that_between_questions() -> None:
    asked = [question(f"q{number}") for number in range(10)]
    fast = Said("It is 7.", e2el=500)
    steady = [[RIGHT, RIGHT]] * 5 + [[WRONG, WRONG]] * 5
    found = compute_results(
        run(asked, {"small": steady, "large": [[RIGHT, WRONG]] * 5 + [[RIGHT, fast]] * 5})
    )
    by_arm = {one.arm: one for one in found.repeats if one.metric == "correct"}
    assert (by_arm["small"].within, by_arm["small"].alike, by_arm["small"].questions) == (0, 1, 10)
    assert by_arm["small"].between == pytest.approx(0.25 * 10 / 9)
    assert by_arm["large"].within == pytest.approx(0.25)
    assert by_arm["large"].alike == 0.5
    assert by_arm["large"].alike_low < 0.5 < by_arm["large"].alike_high
    [turn] = [one for one in found.turns if (one.arm, one.figure) == ("large", "e2el")]
    assert (turn.first, turn.first_n, turn.again_n) == (1000, 10, 10)
    assert turn.again == 750
    once = compute_results(run(asked, {"small": [RIGHT] * 10, "large": [WRONG] * 10}))
    assert (once.repeats, once.turns, once.costs) == ((), (), ())


def test_the_report_says_what_answers_cost_and_what_asking_again_changes() -> None:
    asked = [question(f"q{number:02}") for number in range(12)]
    two = {"small": [[RIGHT, WRONG]] * 12, "large": [[RIGHT, Said("It is 7.", tokens=20)]] * 12}
    made = run(asked, two)
    bundle = made.model_copy(update={"manifest": made.manifest.model_copy(update={"prices": PRICES})})
    report = build_report(bundle, compute_results(bundle))
    markdown, page = render_markdown(report, NO_PLOTS), render_html(report, NO_PLOTS)
    [row] = [line for line in markdown.splitlines() if line.startswith("| large | USD |")]
    assert row.split("|")[3].split()[0] == "0.00152"  # 9 tokens at 2 and 15 at 100 a million
    [within] = [line for line in markdown.splitlines() if line.startswith("| correct | small |")]
    assert "| 0.707 |" in within
    assert {'id="costs"', 'id="repeats"'} <= set(re.findall(r'id="\w+"', page))
    plain = build_report(made, compute_results(made))
    assert "What answers cost" not in render_markdown(plain, NO_PLOTS)
