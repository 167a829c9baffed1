"""Where the results of a replay differ from those that were recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from pipelines.evaluation.results import Results

_NAMES = ("scope", "metric", "figure", "level", "question", "arm", "repeat")
"""What tells the entries of a list apart, where they have it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure or sentence; None where one side does not have it."""

    where: str
    recorded: JsonValue
    replayed: JsonValue


def changes(recorded: Results, replayed: Results) -> list[Change]:
    """Every figure and sentence that is not the same, bit for bit; in the results' order."""
    left = dict(_leaves(recorded.model_dump(mode="json"), ""))
    right = dict(_leaves(replayed.model_dump(mode="json"), ""))
    return [
        Change(where, left.get(where), right.get(where))
        for where in dict.fromkeys((*left, *right))
        if where not in left or where not in right or left[where] != right[where]
    ]


def _leaves(value: JsonValue, where: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{where} {name}".strip())
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, f"{where}[{_name(each, index)}]")
    else:
        yield where, value


def _name(value: JsonValue, index: int) -> str:
    if not isinstance(value, dict):
        return str(index)
    return ", ".join(str(value[name]) for name in _NAMES if name in value) or str(index)
