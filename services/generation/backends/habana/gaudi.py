"""What only an HPU needs, as optimum-habana's text-generation example does it.

CI has no HPU: of this module only what needs none is run there.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TypeVar

from services.core.errors import ServiceUnavailable

HPU = "hpu"

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Device:
    """The device on which a model computes. `bucket` is the step in tokens by which shapes grow on an HPU."""

    name: str
    bucket: int = 128
    graphs: bool = True

    @property
    def is_hpu(self) -> bool:
        return self.name == HPU


def find_device() -> str:
    """Return `hpu` where Habana's torch bridge is installed, else `cpu`."""
    return HPU if find_spec("habana_frameworks") else "cpu"


def adapt_transformers() -> None:
    """Replace the models of transformers and their `generate` by Gaudi's, before a model is opened.

    Raises:
        ServiceUnavailable: A package is missing; the message names it.
    """
    try:
        importlib.import_module("habana_frameworks.torch.core")
        modeling = importlib.import_module("optimum.habana.transformers.modeling_utils")
    except ModuleNotFoundError as error:
        raise ServiceUnavailable(
            f"an HPU needs the package {error.name}: use Intel's Gaudi image and pip install optimum-habana"
        ) from error
    modeling.adapt_transformers_to_gaudi()


def place_model(model: M, *, graphs: bool) -> M:
    """Move the model to the HPU; with `graphs`, its steps are recorded as HPU graphs."""
    placed: M = model.to(HPU)  # type: ignore[attr-defined]
    if graphs:
        placed = importlib.import_module("habana_frameworks.torch.hpu").wrap_in_hpu_graph(placed)
    return placed


def shape_settings(bucket: int) -> Mapping[str, object]:
    """The generation settings of an HPU: attention in bf16, and static shapes that grow by buckets, so that a
    graph is compiled for each of few lengths and not for all."""
    return {
        "static_shapes": True,
        "bucket_size": bucket,
        "bucket_internal": True,
        "trim_logits": True,
        "attn_softmax_bf16": True,
        "use_flash_attention": True,
        "flash_attention_recompute": True,
        "ignore_eos": False,
    }


def generate_arguments(*, graphs: bool) -> Mapping[str, object]:
    """The arguments that Gaudi's `generate` has besides those of transformers."""
    return {"lazy_mode": True, "hpu_graphs": graphs, "ignore_eos": False}
