"""Every wrong value is refused, and the refusal names it: together in a few renderings, and each by itself in the soak."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.chart.conftest import Refuse
from tests.chart.wrong import COMPUTED, SHAPE
from tests.soak import rounds

Case = tuple[str, str]


def merge_values(one: Any, two: Any) -> Any | None:
    """Both values in one, or None where they say different things of one key."""
    if isinstance(one, dict) and isinstance(two, dict):
        merged = dict(one)
        for key, value in two.items():
            both = merge_values(one[key], value) if key in one else value
            if both is None and value is not None:
                return None
            merged[key] = both
        return merged
    return one if one == two else None


def batch_cases(cases: list[Case]) -> list[tuple[Any, list[str]]]:
    """Put cases together as long as they do not touch each other's keys: values, and all that has to be named."""
    batches: list[tuple[Any, list[str]]] = []
    for text, named in cases:
        values = yaml.safe_load(text)
        for index, (others, names) in enumerate(batches):
            merged = merge_values(others, values)
            if merged is not None:
                batches[index] = (merged, [*names, named])
                break
        else:
            batches.append((values, [named]))
    return batches


@pytest.mark.parametrize("cases", [SHAPE, COMPUTED], ids=["shape", "computed"])
def test_all_are_named_at_once(refuse: Refuse, cases: list[Case]) -> None:
    for values, names in batch_cases(cases)[: rounds(2, len(cases))]:
        said = refuse(yaml.safe_dump(values))
        assert [named for named in names if named not in said] == [], said


@pytest.mark.soak
@pytest.mark.parametrize(("values", "named"), [*SHAPE, *COMPUTED][: rounds(1, 1000)])
def test_each_is_named_by_itself(refuse: Refuse, values: str, named: str) -> None:
    assert named in refuse(values)


def test_there_are_many_and_none_twice() -> None:
    cases = [*SHAPE, *COMPUTED]
    assert len({values for values, _ in cases}) == len(cases) >= 65
