"""Which models `up` fetches before it starts anything."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.console import Output
from services.cli.local.addresses import ROSTER
from services.cli.local.models import fetch_needed, needed_models
from services.core.models.memory import NotEnoughMemory
from services.generation.configuration import BadEntries

MINILM, SMALL, LARGE = "all-minilm-l6-v2", "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"


@pytest.mark.parametrize(
    ("env", "models"),
    [
        ({}, [MINILM, SMALL]),
        ({"LLM_BACKEND": "large"}, [MINILM, LARGE]),
        ({"LLM_BACKEND": "qwen3-4b"}, [MINILM, "qwen3-4b"]),
        ({"LLM_MODEL_ID": "a/b-GGUF:Q8_0"}, [MINILM, "a/b-GGUF:Q8_0"]),
        (
            {"LLM_MODEL_ID": "smollm2-135m-instruct", "LLM_ENGINE": "llamacpp"},
            [MINILM, "smollm2-135m-instruct"],
        ),
        ({"LLM_ENGINE": "fake"}, [MINILM]),
        ({"LLM_ENGINE": "vllm", "LLM_ENDPOINT": "http://x:1", "LLM_MODEL_ID": "meta/llama"}, [MINILM]),
        ({"LLM_MODEL_PATH": "/models/own.gguf"}, [MINILM]),
        ({"EMBEDDING_BACKEND": "fake", "LLM_ENGINE": "fake"}, []),
        ({"EMBEDDING_MODEL_PATH": "/models/bert"}, [SMALL]),
    ],
)
def test_only_what_the_environment_needs(
    env: dict[str, str], models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_BACKEND", "of this process: must not matter")
    assert needed_models(ROSTER, env) == models


def test_services_that_are_not_started_need_nothing() -> None:
    assert needed_models(["gateway", "retrieval"], {}) == []
    assert needed_models(["generation"], {}) == [SMALL]


def test_a_wrong_entry_is_said_before_anything_starts() -> None:
    with pytest.raises(BadEntries, match="LLM_BACKEND=huge"):
        needed_models(ROSTER, {"LLM_BACKEND": "huge"})


def test_a_model_that_does_not_fit_is_refused_before_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.local.models.read_memory_limit", lambda: 4_000_000_000)
    console = Console(file=io.StringIO())
    with pytest.raises(
        NotEnoughMemory, match=r"qwen3-8b needs at least 5\.7 GB of memory, and there are 4\.0"
    ):
        fetch_needed(["generation"], {"LLM_BACKEND": "qwen3-8b"}, tmp_path, Output(console, console))
    assert not list(tmp_path.rglob("*.gguf"))
