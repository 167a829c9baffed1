"""A gateway with keys over services that compute nothing: dataprep, an in-memory store, an engine that echoes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.dataprep.app import create as create_dataprep
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.access.keys import Key, KeyList, hash_key, make_key, write_keys
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.generation.app import create as create_generation
from services.generation.settings import Settings as GenerationSettings
from services.reranking.app import create as create_reranking
from services.reranking.settings import Settings as RerankingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.conftest import Serve
from tests.contract.test_dataprep import settings as dataprep_settings

ENTRIES = '[{"name": "small", "engine": "fake", "model_id": "fake"}]'


def write_key_file(path: Path, **keys: dict[str, Any]) -> dict[str, str]:
    """Write a file with a key for each of these, and return the keys by name."""
    made = {name: make_key() for name in keys}
    listed = [Key(hash=hash_key(made[name]), name=name, **fields) for name, fields in keys.items()]
    write_keys(path, KeyList(keys=listed))
    return made


@dataclass
class Tenant:
    """A client of the gateway with one key; `header` is how it is sent."""

    url: str
    key: str
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = self.headers or {"authorization": f"Bearer {self.key}"}

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, headers=self.headers, timeout=60, **request)

    def upload(self, name: str, text: str, *, path: str = "/v1/documents", **fields: str) -> httpx.Response:
        return self.ask("POST", path, files={"files": (name, text.encode())}, data=fields)


@dataclass
class Chain:
    """The addresses of the services."""

    gateway: str
    retrieval: str
    dataprep: str


def start_services(serve: Serve, folder: Path) -> dict[str, str]:
    """Start all services but the gateway. Returns their addresses as its settings."""
    embedding = serve(create_embedding(EmbeddingSettings(backend="fake")))
    retrieval = serve(create_retrieval(RetrievalSettings(vector_url="memory://")))
    return {
        "embedding_url": embedding,
        "retrieval_url": retrieval,
        "reranking_url": serve(create_reranking(RerankingSettings(backend="fake"))),
        "generation_url": serve(create_generation(GenerationSettings(backends=ENTRIES))),
        "dataprep_url": serve(create_dataprep(dataprep_settings(embedding, retrieval, folder))),
    }


def start_chain(serve: Serve, folder: Path, **settings: Any) -> Chain:
    """Start the services; `settings` are the gateway's."""
    urls = start_services(serve, folder)
    gateway = serve(create_gateway(GatewaySettings(**{"floor": 0, **urls, **settings})))
    return Chain(gateway, urls["retrieval_url"], urls["dataprep_url"])
