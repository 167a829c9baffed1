"""The `llm` command: answers, whole and streamed, errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("llm", reason="needs the clients' environment: make test-clients")

from tests.clients.expected import ANSWER, QUESTION


@pytest.fixture
def run(gateway: str, tmp_path: Path):
    models = [
        f"- model_id: {model}\n  model_name: {model}\n  api_base: {gateway}/v1\n"
        for model in ("plain", "thinking", "nobody")
    ]
    (tmp_path / "extra-openai-models.yaml").write_text("".join(models))

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "llm", *arguments]
        environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    return ask


@pytest.mark.parametrize("options", [[], ["--no-stream"]])
@pytest.mark.parametrize("model", ["plain", "thinking"])
def test_an_answer(run, model, options):
    reply = run("-m", model, *options, QUESTION)
    assert reply.returncode == 0, reply.stderr
    assert reply.stdout.strip() == ANSWER


def test_an_error_is_told(run):
    reply = run("-m", "nobody", QUESTION)
    assert reply.returncode != 0
    assert "no model entry 'nobody'" in reply.stderr
