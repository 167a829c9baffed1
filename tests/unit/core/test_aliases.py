from __future__ import annotations

from pathlib import Path

import pytest

from services.core.aliases import ADDRESSES, CHOICES, NAMES, join_address, read_aliases
from services.core.settings import copy_environment
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.settings import Settings as GatewaySettings
from services.generation.settings import EntrySettings
from services.reranking.settings import Settings as RerankingSettings

SETTINGS = Path(__file__).parents[3] / "docs" / "settings.md"


def test_settings_are_read_by_opeas_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *ADDRESSES, *CHOICES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEGA_SERVICE_PORT", "7777")
    monkeypatch.setenv("EMBEDDING_SERVER_HOST_IP", "tei")
    monkeypatch.setenv("RETRIEVER_SERVICE_HOST_IP", "10.0.0.7")
    monkeypatch.setenv("RERANK_SERVER_HOST_IP", "::1")
    monkeypatch.setenv("RERANK_SERVER_PORT", "8808")
    monkeypatch.setenv("LLM_SERVER_HOST_IP", "http://vllm:9009/")
    monkeypatch.setenv("TEI_EMBEDDING_ENDPOINT", "http://tei:80")
    gateway = GatewaySettings.load()
    assert gateway.port == 7777
    assert gateway.embedding_url == "http://tei:80"
    assert gateway.retrieval_url == "http://10.0.0.7:7000"
    assert gateway.reranking_url == "http://[::1]:8808"
    assert EntrySettings.load().endpoint == "http://vllm:9009"
    assert EmbeddingSettings.load().backend == "tei"
    assert RerankingSettings.load().backend == "late_interaction"
    monkeypatch.setenv("TEI_RERANKING_ENDPOINT", "http://tei:80")
    assert RerankingSettings.load().backend == "tei"
    monkeypatch.setenv("CHATQNA_TYPE", "CHATQNA_NO_RERANK")
    assert RerankingSettings.load().backend == "none"


def test_our_own_name_wins_where_it_has_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEGA_SERVICE_PORT", "7777")
    monkeypatch.setenv("GATEWAY_PORT", "6666")
    assert GatewaySettings.load().port == 6666
    monkeypatch.setenv("GATEWAY_PORT", "")
    assert GatewaySettings.load().port == 7777
    monkeypatch.setenv("MEGA_SERVICE_PORT", "")
    assert GatewaySettings.load().port == 8888
    assert GatewaySettings(port=5).port == 5


def test_child_processes_get_our_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for alias, value in (
        ("HUGGING_FACE_HUB_TOKEN", "second"),
        ("HUGGINGFACEHUB_API_TOKEN", "first"),
        ("HF_TOKEN", "own"),
    ):
        monkeypatch.setenv(alias, value)
        assert copy_environment().get("HF_TOKEN") == value


def test_nothing_is_read_into_an_environment_that_says_nothing() -> None:
    assert read_aliases({}) == {}
    assert read_aliases({"CHATQNA_TYPE": "CHATQNA_GUARDRAILS", "EMBEDDING_SERVER_PORT": "80"}) == {}
    assert join_address("[::1]", "80") == "http://[::1]:80"


def test_the_page_lists_every_alias() -> None:
    page = SETTINGS.read_text()
    for name, aliases in NAMES.items():
        assert f"| `{name}` | " + ", then ".join(f"`{alias}`" for alias in aliases) in page
    for name, (host, port, default) in ADDRESSES.items():
        assert f"| `{name}` | `{host}` with `{port}` ({default}) |" in page
    for name, choices in CHOICES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` | `"))
        assert all(f"`{variable}`" in row and f"`{meaning}`" in row for variable, _, meaning in choices)
