"""docs/engines.md: its table is what the engines declare, its variables and engines exist."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import cast

import pytest

from services.core.backends import UnknownBackend, load, names
from services.generation.backend import PACKAGE, EngineModule
from services.generation.configuration import ALIASES, AUTO

sys.path.insert(0, str(Path(__file__).parent))

import settings_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engines.md").read_text()
TABLE = PAGE.split("<!-- engines -->")[1].split("<!-- /engines -->")[0]
COLUMNS = (
    "embedded",
    "seed",
    "native_reasoning",
    "native_budget",
    "continuation",
    "switch",
    "effort",
    "grammar",
    "logprobs",
    "bias",
    "penalties",
    "tools",
)


def rows() -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()[2:]]
    return {name.strip("`"): rest for name, *rest in cells}


def test_the_table_lists_every_engine() -> None:
    assert list(rows()) == names(PACKAGE)
    assert [name.replace(" ", "_") for name in TABLE.splitlines()[1].strip("| ").split(" | ")[1:]] == [
        *COLUMNS
    ]


@pytest.mark.parametrize("name", names(PACKAGE))
def test_a_row_is_what_the_engine_declares(name: str) -> None:
    try:
        capabilities = cast(EngineModule, load(PACKAGE, name)).CAPABILITIES
    except UnknownBackend as error:
        pytest.skip(error.message)
    declared = ["yes" if getattr(capabilities, column) else "no" for column in COLUMNS]
    assert rows()[name] == declared


def test_every_alias_is_named() -> None:
    assert all(f"`{alias}`" in PAGE for alias in ALIASES)


def test_the_examples_use_engines_and_variables_that_exist() -> None:
    used = set(re.findall(r"LLM_ENGINE=([a-z-]+)", PAGE))
    assert used <= {AUTO, *names(PACKAGE), *ALIASES}
    known = {
        str(field.validation_alias)
        for kind in settings_table.settings_classes()
        for field in kind.model_fields.values()
    }
    own = set(re.findall(r"\b((?:LLM|HABANA|LLAMACPP)_[A-Z_]+)=", PAGE)) - {
        "HABANA_VISIBLE_DEVICES",
        "HABANA_LOGS",
    }
    assert own | {"VLLM_THINKING_BUDGET", "LLM_TGI_ROUTE"} <= known


@pytest.mark.parametrize(
    "model", ["meta-llama/Llama-3.1-8B-Instruct", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"]
)
@pytest.mark.parametrize("hardware", ["Xeon", "Gaudi 2"])
def test_every_hardware_has_an_example_for_both_models(hardware: str, model: str) -> None:
    section = PAGE.split(f"## {hardware}\n")[1].split("\n## ")[0]
    engines = {"Xeon": ("vllm", "tgi", "ovms"), "Gaudi 2": ("vllm", "tgi", "habana")}[hardware]
    assert model in section
    assert "Not run here" in section
    assert all(f"LLM_ENGINE={engine}" in section for engine in engines)
