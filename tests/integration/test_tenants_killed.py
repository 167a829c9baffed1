"""kill -9 of the gateway, dataprep, retrieval and Redis while two tenants put documents in with keys of their own."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.tenants_chain import write_key_file
from tests.integration.ingestion import (
    CHUNKS,
    PATIENT,
    SERVICES,
    Chaos,
    Files,
    Ingestion,
    content,
    running,
    under_chaos,
)
from tests.redis_server import RedisServer
from tests.soak import SOAK

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.soak,
    pytest.mark.skipif(not SOAK, reason="minutes of kills: make test-soak"),
]

KILLS = 100
JOBS = 60
FILES_PER_JOB = 5
TENANTS = ("acme", "zeta")
VICTIMS = (("gateway",), ("dataprep",), ("retrieval",), ("redis",), ("gateway", "dataprep"))


@dataclass
class Tenants(Ingestion):
    """Puts documents in through the gateway, each job as the next tenant."""

    keys: dict[str, str] = field(default_factory=dict)
    own: dict[str, Files] = field(default_factory=lambda: {name: {} for name in TENANTS})
    owners: dict[str, str] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        return self.stack.url("gateway")

    def ask(self, tenant: str, method: str, path: str, **request: Any) -> httpx.Response | None:
        headers = {"authorization": f"Bearer {self.keys[tenant]}"}
        try:
            return httpx.request(method, self.gateway + path, headers=headers, timeout=20, **request)
        except httpx.TransportError:
            return None

    def ask_until(self, tenant: str, method: str, path: str, status: int, **request: Any) -> Any:
        end = time.monotonic() + PATIENT
        while True:
            reply = self.ask(tenant, method, path, **request)
            if reply is not None and reply.status_code == status:
                return reply.json()
            assert reply is None or reply.status_code >= 429, reply.text
            assert time.monotonic() < end, reply.text if reply else "no reply"
            time.sleep(0.1)

    def submit(self, files: Files) -> str:
        tenant = TENANTS[len(self.jobs) % len(TENANTS)]
        form = [("files", (name, content(paragraphs))) for name, paragraphs in files.items()]
        job: str = self.ask_until(tenant, "POST", "/v1/jobs", 202, files=form, data=CHUNKS)["id"]
        self.own[tenant] |= files
        self.owners[job] = tenant
        self.jobs.append(job)
        self._look_across(tenant, job)
        return job

    def _look_across(self, tenant: str, job: str) -> None:
        """The other tenant must not see the job, nor a document of this one, also while services die."""
        other = next(name for name in TENANTS if name != tenant)
        reply = self.ask(other, "GET", f"/v1/jobs/{job}")
        assert reply is None or reply.status_code == 404 or reply.status_code >= 429, reply.text
        listed = self.ask(other, "GET", "/v1/documents")
        if listed is not None and listed.status_code == 200:
            names = {document["name"] for document in listed.json()["documents"]}
            assert not names & set(self.own[tenant])


def make_jobs() -> list[Files]:
    rng = random.Random(7)
    return [
        {
            f"{TENANTS[number % 2]}/{number:03}-{at}.md": [
                f"Paragraph {paragraph} of file {at} in job {number}: {rng.getrandbits(32):x}."
                for paragraph in range(rng.randint(1, 4))
            ]
            for at in range(FILES_PER_JOB)
        }
        for number in range(JOBS)
    ]


def test_no_document_is_lost_and_none_is_another_tenant_s(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.flush()
    path = tmp_path / "keys.json"
    keys = write_key_file(path, **{name: {"tenant": name, "roles": ["ask", "ingest"]} for name in TENANTS})
    env = {
        "GATEWAY_KEYS_FILE": str(path),
        "LLM_ENGINE": "fake",
        "LLM_MODEL_ID": "fake",
        "RELEVANCE_FLOOR": "0",
    }
    with running(tmp_path, env, redis_server, (*SERVICES, "generation", "gateway")) as started:
        ingestion = Tenants(started.workers, started.redis, keys=keys)
        kills = [VICTIMS[at % len(VICTIMS)] for at in range(KILLS)]
        chaos = Chaos(ingestion, 7, kills)
        try:
            under_chaos(ingestion, make_jobs(), chaos)
        finally:
            print(f"{chaos.kills} kills, {len(ingestion.jobs)} jobs accepted")
        for job, tenant in ingestion.owners.items():
            end = time.monotonic() + PATIENT
            while not (found := ingestion.ask_until(tenant, "GET", f"/v1/jobs/{job}", 200))["finished_at"]:
                assert time.monotonic() < end, found
                time.sleep(0.1)
            assert found["status"] == "done", found
        for tenant in TENANTS:
            listed = ingestion.ask_until(tenant, "GET", "/v1/documents", 200)["documents"]
            assert {document["name"] for document in listed} == set(ingestion.own[tenant])
        stored = httpx.get(f"{ingestion.retrieval}/v1/collections", timeout=30).json()["collections"]
        passages = {one["name"]: one["passages"] for one in stored}
        assert passages == {
            f"{tenant}--default": sum(map(len, files.values())) for tenant, files in ingestion.own.items()
        }
        print(f"{KILLS} kills, {len(ingestion.jobs)} jobs, {sum(map(len, ingestion.own.values()))} documents")
