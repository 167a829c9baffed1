"""Data sets by name: NAME, NAME:PART, with +noiseK, +absentK or +counterfactual; or your own JSONL by path.

A data set is a function in a file of `pipelines/evaluation/datasets/sets/`:

    @dataset("gsm8k")
    def load_gsm8k(variant: str, path: Path | None) -> Dataset: ...

The folder is listed; nothing else lists data sets. `variant` is what follows the colon, or ""; `path` is
where the caller says that the data is.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.evaluation.datasets import sets
from pipelines.evaluation.datasets.items import Dataset, check_dataset, draw_sample
from pipelines.evaluation.datasets.own import load_own
from pipelines.evaluation.datasets.variants import add_noise, falsify_passages, replace_passages
from services.core.errors import NotFound

_NAME = re.compile(
    r"(?P<name>[a-z0-9_]+)(?::(?P<variant>[\w-]+))?"
    r"(?:\+(?:noise(?P<noise>[1-9]\d?)|absent(?P<absent>[1-9]\d?)|(?P<counterfactual>counterfactual)))?"
)

Load = Callable[[str, Path | None], Dataset]


@dataclass(frozen=True, slots=True)
class NamedDataset:
    """A data set's name and the function that reads it."""

    name: str
    load: Load


def dataset(name: str) -> Callable[[Load], NamedDataset]:
    """Declare a function a data set of that name."""
    return lambda load: NamedDataset(name, load)


def dataset_names() -> tuple[str, ...]:
    """The data sets that have a name."""
    return tuple(_named_datasets())


def load_dataset(name: str, path: Path | None = None, n: int | None = None, seed: int = 0) -> Dataset:
    """Read `n` questions of a data set (all by default), drawn with `seed`.

    Args:
        name: A data set's name with its part and variant, or the path of your own file, which ends in .jsonl.
        path: The folder that holds evaluation data, or the data set's own file or folder; without it
            RAGLINE_EVALUATION_DATA says where.

    Raises:
        InvalidRequest, NotFound: It says what is wrong, before any model is asked.
    """
    if name.endswith(".jsonl"):
        return draw_sample(check_dataset(load_own(Path(name))), n, seed)
    named = _named_datasets()
    parts = _NAME.fullmatch(name)
    if parts is None or parts["name"] not in named:
        raise NotFound(
            f"no data set {name!r}: choose one of {', '.join(named)} (with :PART, +noiseK, +absentK or "
            "+counterfactual), or a file that ends in .jsonl"
        )
    found = named[parts["name"]].load(parts["variant"] or "", path)
    if parts["noise"]:
        found = add_noise(found, int(parts["noise"]), seed)
    elif parts["absent"]:
        found = replace_passages(found, int(parts["absent"]), seed)
    elif parts["counterfactual"]:
        found = falsify_passages(found, seed)
    return draw_sample(check_dataset(found), n, seed)


@cache
def _named_datasets() -> dict[str, NamedDataset]:
    """Every data set of the folder, by name."""
    found: dict[str, NamedDataset] = {}
    for module in pkgutil.iter_modules(sets.__path__, f"{sets.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, NamedDataset) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"{module.name} declares {value.name!r}, which another data set is called")
    return dict(sorted(found.items()))
