"""Data sets by name: NAME, NAME:PART, with +noiseK, +absentK or +counterfactual; or one's own JSONL by path.

A data set is one file in this folder that exports `load(variant, path)`, and a name in `_MODULES`.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from pipelines.evaluation.datasets.items import Dataset, check_dataset, draw_sample
from pipelines.evaluation.datasets.variants import add_noise, falsify_passages, replace_passages
from services.core.errors import NotFound

_MODULES = ("bbh", "champ", "gsm8k", "logic", "mip_overthinking", "misguided_attention", "squad2")
_NAME = re.compile(
    r"(?P<name>[a-z0-9_]+)(?::(?P<variant>[\w-]+))?"
    r"(?:\+(?:noise(?P<noise>[1-9]\d?)|absent(?P<absent>[1-9]\d?)|(?P<counterfactual>counterfactual)))?"
)


def dataset_names() -> tuple[str, ...]:
    """The data sets that have a name."""
    return _MODULES


def load_dataset(name: str, path: Path | None = None, n: int | None = None, seed: int = 0) -> Dataset:
    """`n` questions of the data set `name` (all by default), drawn with `seed`.

    `path` is the folder that holds evaluation data, or the data set's own file or folder; without it
    RAGLINE_EVALUATION_DATA says where. A `name` that ends in .jsonl is one's own file. InvalidRequest or
    NotFound says what is wrong, before any model is asked.
    """
    if name.endswith(".jsonl"):
        return draw_sample(check_dataset(_module("own", "", Path(name))), n, seed)
    parts = _NAME.fullmatch(name)
    if parts is None or parts["name"] not in _MODULES:
        raise NotFound(
            f"no data set {name!r}: choose one of {', '.join(_MODULES)} (with :PART, +noiseK, +absentK or "
            "+counterfactual), or a file that ends in .jsonl"
        )
    dataset = _module(parts["name"], parts["variant"] or "", path)
    if parts["noise"]:
        dataset = add_noise(dataset, int(parts["noise"]), seed)
    elif parts["absent"]:
        dataset = replace_passages(dataset, int(parts["absent"]), seed)
    elif parts["counterfactual"]:
        dataset = falsify_passages(dataset, seed)
    return draw_sample(check_dataset(dataset), n, seed)


def _module(name: str, variant: str, path: Path | None) -> Dataset:
    found: Dataset = importlib.import_module(f"pipelines.evaluation.datasets.{name}").load(variant, path)
    return found
