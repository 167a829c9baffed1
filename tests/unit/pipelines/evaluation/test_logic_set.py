"""The logic set: every answer that can be computed is, and no pattern gets both twins right."""

from __future__ import annotations

import builtins
import calendar
import datetime
import itertools
import json
from collections import Counter, defaultdict
from importlib.resources import files

import pytest

from pipelines.evaluation.analysis.scores import score_text
from pipelines.evaluation.datasets import load_dataset

ROWS = [
    json.loads(line)
    for line in (files("pipelines.evaluation.datasets") / "logic.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]


def jugs(small: int, large: int, wanted: int) -> int:
    """The fewest fillings at the tap, by search over all states; pouring and emptying cost none."""
    best = {(0, 0): 0}
    todo = [(0, 0)]
    while todo:
        state = min(todo, key=best.__getitem__)
        todo.remove(state)
        one, two = state
        if wanted in state:
            return best[state]
        poured, back = min(one, large - two), min(two, small - one)
        moves = [((small, two), 1), ((one, large), 1), ((0, two), 0), ((one, 0), 0)]
        moves += [((one - poured, two + poured), 0), ((one + back, two - back), 0)]
        for after, cost in moves:
            if best[state] + cost < best.get(after, 99):
                best[after] = best[state] + cost
                todo.append(after)
    raise AssertionError("cannot be measured")


def river() -> int:
    """The fewest crossings with wolf, goat and cabbage, one at a time, by search over all states."""
    start = frozenset({"ferryman", "wolf", "goat", "cabbage"})
    seen, frontier, crossings = {start}, {start}, 0
    while frozenset() not in frontier:
        crossings += 1
        reached = set()
        for near in frontier:
            here = near if "ferryman" in near else start - near
            for passenger in [None, *(here - {"ferryman"})]:
                moved = {"ferryman"} | ({passenger} if passenger else set())
                after = near - moved if "ferryman" in near else near | moved
                alone = start - after if "ferryman" in after else after
                if not ({"wolf", "goat"} <= alone or {"goat", "cabbage"} <= alone):
                    reached.add(frozenset(after))
        frontier = reached - seen
        seen |= frontier
    return crossings


def entails(premise, conclusion) -> bool:
    return all(conclusion(*case) for case in itertools.product((True, False), repeat=2) if premise(*case))


HELPERS = {
    "jugs": jugs,
    "river": river,
    "entails": entails,
    "days": lambda year, month: calendar.monthrange(year, month)[1],
    "since": lambda y1, m1, d1, y2, m2, d2: (datetime.date(y2, m2, d2) - datetime.date(y1, m1, d1)).days,
    "__builtins__": {
        name: getattr(builtins, name)
        for name in ("len", "max", "min", "next", "range", "round", "str", "sum", "int")
    },
}


@pytest.mark.parametrize("row", [row for row in ROWS if "check" in row], ids=lambda row: row["id"])
def test_the_answer_is_what_its_check_computes(row) -> None:
    computed = eval(row["check"], dict(HELPERS))  # noqa: S307 - our own file
    if row["kind"] == "numeric":
        assert float(row["answer"]) == pytest.approx(computed)
    else:
        assert row["answer"] == computed


def test_the_set_is_large_and_starts_from_the_founding_question() -> None:
    assert len(ROWS) >= 120
    assert ROWS[0]["question"].startswith(
        "You have a pound of water, two pounds of bricks, a pound of feathers"
    )
    assert ROWS[0]["answer"] == "the air"
    assert len({row["family"] for row in ROWS}) >= 12
    assert min(Counter(row["family"] for row in ROWS).values()) >= 8
    assert sum("check" in row for row in ROWS) > 0.8 * len(ROWS)
    assert all(row["why"] for row in ROWS)


def test_every_trap_has_a_control_of_the_same_surface_and_another_answer() -> None:
    twins = defaultdict(dict)
    for row in ROWS:
        twins[row["twin"]][row["role"]] = row
    for pair in twins.values():
        trap, control = pair["trap"], pair["control"]
        assert trap["answer"] != control["answer"]
        assert (trap["kind"], trap["family"]) == (control["kind"], control["family"])
        assert trap.get("options") == control.get("options")
        one, other = set(trap["question"].split()), set(control["question"].split())
        assert len(one & other) >= 0.4 * min(len(one), len(other)), trap["id"]


def test_the_right_letter_is_no_pattern() -> None:
    by_size = defaultdict(Counter)
    for row in ROWS:
        if row["kind"] == "choice":
            by_size[len(row["options"])][row["options"].index(row["answer"])] += 1
    three = by_size[3]
    assert max(three.values()) <= 0.5 * sum(three.values())


def test_the_scorer_tells_each_answer_from_its_twin_s() -> None:
    items = {item.id: item for item in load_dataset("logic").items}
    for item in items.values():
        twin = items[
            item.id.replace("trap", "control") if "trap" in item.id else item.id.replace("control", "trap")
        ]
        for form in ("{}", "The answer is {}.", "<think>It may be 77.</think>Let us see. Answer: {}"):
            assert score_text(item, form.format(item.answers[0]))["correct"] == 1.0, item.id
            assert score_text(item, form.format(twin.answers[0]))["correct"] == 0.0, item.id


def test_one_family_can_be_had_alone() -> None:
    weights = load_dataset("logic:weights")
    assert {item.meta["family"] for item in weights.items} == {"weights"}
    assert {item.group for item in load_dataset("logic", n=20, seed=1).items} <= {
        item.group for item in load_dataset("logic").items
    }
    assert set(Counter(item.group for item in load_dataset("logic", n=20, seed=1).items).values()) == {2}
