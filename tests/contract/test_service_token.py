"""Services that answer each other alone: what reaches one without the token, and a chain that has it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from services.core.client import HttpClient
from services.core.errors import ServiceError, ServiceUnavailable
from services.core.settings import ServiceSettings
from services.dataprep.app import create as create_dataprep
from services.dataprep.settings import Settings as DataprepSettings
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.generation.app import create as create_generation
from services.generation.settings import Settings as GenerationSettings
from services.reranking.app import create as create_reranking
from services.reranking.settings import Settings as RerankingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.conftest import running

TOKEN = "t0ken"  # noqa: S105 - the test's own
SERVICES: dict[str, tuple[Callable[..., FastAPI], type[ServiceSettings], str]] = {
    "embedding": (create_embedding, EmbeddingSettings, "/v1/statistics"),
    "retrieval": (create_retrieval, RetrievalSettings, "/v1/collections"),
    "reranking": (create_reranking, RerankingSettings, "/v1/statistics"),
    "generation": (create_generation, GenerationSettings, "/v1/models"),
    "dataprep": (create_dataprep, DataprepSettings, "/v1/jobs"),
}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", TOKEN)
    monkeypatch.setenv("EMBEDDING_BACKEND", "fake")
    monkeypatch.setenv("LLM_ENGINE", "fake")
    monkeypatch.setenv("VECTOR_URL", "memory://")
    monkeypatch.setenv("RERANKING_BACKEND", "fake")


async def is_down() -> None:
    raise ServiceUnavailable("no store at /secret/path")


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("sent", [{}, {"x-service-token": "wrong"}, {"authorization": f"Bearer {TOKEN}"}])
async def test_a_service_answers_nobody_without_the_token(name: str, sent: dict[str, str]) -> None:
    create, settings, path = SERVICES[name]
    app = create(settings.load())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        reply = await client.get(path, headers=sent)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unknown_caller")
        assert TOKEN not in reply.text
        assert (await client.get("/nowhere", headers=sent)).status_code == 401
        assert (await client.get("/health", headers=sent)).status_code == 200
        app.state.checks, app.state.notices = {"store": is_down}, ("a notice",)
        ready = await client.get("/health/ready", headers=sent)
        assert (ready.status_code, ready.json()["notices"]) == (503, [])
        assert ready.json()["dependencies"]["store"] | {"latency_ms": 0} == {
            "ready": False,
            "latency_ms": 0,
            "detail": "",
            "required": True,
        }
        told = (await client.get("/health/ready", headers={"x-service-token": TOKEN})).json()
        assert (told["notices"], "/secret/path" in told["dependencies"]["store"]["detail"]) == (
            ["a notice"],
            True,
        )
        assert (await client.get("/metrics", headers=sent)).status_code == 200


async def test_the_gateway_has_it_and_asks_nobody_for_it() -> None:
    create, settings, _ = SERVICES["retrieval"]
    with running(create(settings.load())) as retrieval:
        gateway = create_gateway(GatewaySettings(retrieval_url=retrieval))
        transport = httpx.ASGITransport(gateway)
        async with (
            gateway.router.lifespan_context(gateway),
            httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
        ):
            assert (await client.get("/v1/passages/none")).status_code == 404
        async with HttpClient("retrieval", retrieval) as stranger:
            with pytest.raises(ServiceError, match="SERVICE_TOKEN") as refused:
                await stranger.get("/v1/collections")
        assert refused.value.status == 502, "to a service it is the other's failure, not its caller's"
