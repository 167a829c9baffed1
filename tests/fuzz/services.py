"""All six services over fakes in one process, with a gateway that asks for keys beside the one that does not, and the
port of the metrics.

Run as a module it prints where they are and what they hold, as one line of JSON, and serves until its standard input ends:
for a client that lives in an environment of its own, without Ragline.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import orjson

from services.dataprep.app import create as create_dataprep
from services.dataprep.settings import Settings as DataprepSettings
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
from tests.contract.conftest import running

DOCUMENT = b"# Honey\n\nBees make honey out of nectar.\n\n# Wax\n\nBees build their combs of wax.\n"
DOCUMENTS = 20
"""How many there are: some are deleted on the way."""
PATIENT = {"floor": 0, "embedding_seconds": 110, "retrieval_seconds": 110}
"""A gateway's settings where a busy machine takes long for its first search; a case may take far less."""
ENTRIES = [
    {"name": name, "engine": "fake", "model_id": name, "max_context": 4096} for name in ("plain", "other")
]


@contextmanager
def started(folder: Path) -> Iterator[dict[str, object]]:
    """Start everything, bring in documents, and give addresses, a key, and the names of what is there."""
    with ExitStack() as stack:

        def serve(app: object) -> str:
            return stack.enter_context(running(app))  # type: ignore[arg-type]

        key = make_key()
        keys = folder / "keys.json"
        write_keys(
            keys, KeyList(keys=[Key(hash=hash_key(key), tenant="fuzz", roles=["ask", "ingest", "admin"])])
        )
        urls = {
            "embedding_url": serve(create_embedding(EmbeddingSettings(backend="fake"))),
            "retrieval_url": serve(create_retrieval(RetrievalSettings(vector_url="memory://"))),
            "reranking_url": serve(create_reranking(RerankingSettings(backend="fake"))),
        }
        entries = orjson.dumps(ENTRIES).decode()
        urls["generation_url"] = serve(
            create_generation(GenerationSettings(backends=entries, backend="plain"))
        )
        dataprep = DataprepSettings(
            jobs_url=f"sqlite://{folder}/jobs",
            parsers=1,
            embedding_url=urls["embedding_url"],
            retrieval_url=urls["retrieval_url"],
        )
        urls["dataprep_url"] = serve(create_dataprep(dataprep))
        feedback = f"sqlite://{folder}/feedback"
        gateway = serve(create_gateway(GatewaySettings(**PATIENT, feedback_url=feedback, **urls)))
        locked = serve(
            create_gateway(GatewaySettings(**PATIENT, feedback_url=feedback, keys_file=keys, **urls))
        )
        admin = serve(create_gateway(GatewaySettings(admin_port=1)).state.admin)
        services = {name.removesuffix("_url"): url for name, url in urls.items()}
        services |= {"gateway": gateway, "gateway-keys": locked, "gateway-locked": locked}
        yield {
            "services": {**services, "admin": admin, "mcp": gateway},
            "key": key,
            **fill(gateway),
        }


def fill(gateway: str) -> dict[str, list[str]]:
    """Bring in the documents, and list what there is to name in a request."""
    with httpx.Client(base_url=gateway, timeout=120) as client:
        files = [("files", (f"honey-{n}.md", DOCUMENT)) for n in range(DOCUMENTS)]
        client.post("/v1/documents", files=files).raise_for_status()
        job = client.post("/v1/jobs", files=files[:1]).raise_for_status().json()
        documents = client.get("/v1/documents").raise_for_status().json()
        found = (
            client.post("/v1/search", json={"question": "honey", "rag": {"top_n": 8}})
            .raise_for_status()
            .json()
        )
    return {
        "documents": [document["id"] for document in documents["documents"]],
        "passages": [passage["id"] for passage in found["context"]["passages"]],
        "jobs": [job["id"]],
    }


if __name__ == "__main__":
    output = os.dup(1)
    os.dup2(2, 1)  # what the services log is none of the answer
    with TemporaryDirectory() as home, started(Path(home)) as stack:
        os.write(output, orjson.dumps(stack) + b"\n")
        sys.stdin.read()
