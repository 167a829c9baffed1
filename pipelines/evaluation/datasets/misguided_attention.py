"""Misguided Attention: known riddles, altered, without reference answers: only an answer's shape is scored.

github.com/cpldcpu/MisguidedAttention. Only the prompts that its authors publish in the clear are read; the
longer sets are scrambled against crawlers, and stay so.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.evaluation.datasets.files import folder
from pipelines.evaluation.datasets.items import Dataset, Item
from services.core.errors import NotFound

_PROMPT = re.compile(r"^\*\s+\*\*(\w+)\*\*\s+-\s+\"(.+)\"\s*$", re.MULTILINE)


def load(variant: str, path: Path | None) -> Dataset:
    """Thirteen questions of kind "free": for reading, or for a judge."""
    del variant
    source = folder("misguided_attention", path) / "prompts.md"
    if not source.is_file():
        raise NotFound(f"no file {source}")
    return Dataset(
        name="misguided_attention",
        items=tuple(
            Item(id=name, question=question, kind="free")
            for name, question in _PROMPT.findall(source.read_text(encoding="utf-8"))
        ),
        origin="github.com/cpldcpu/MisguidedAttention",
        licence="CC0-1.0",
    )
