"""kill -9 of dataprep, of retrieval, of both, and of Redis, at random moments while files are ingested."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import httpx
import pytest

from services.core.models.fetch import fetch
from tests.integration.ingestion import Chaos, Files, Ingestion, running, under_chaos
from tests.redis_server import RedisServer
from tests.soak import SOAK, rounds

pytestmark = [pytest.mark.timeout(400), pytest.mark.soak]

FILES = rounds(50, 200)
PER_JOB = 10


def files(seed: int, version: int, numbers: range) -> Files:
    """Small documents of one to six passages, every one of them unique."""
    rng = random.Random(f"{seed} {version}")
    return {
        f"folder/{number:03}.md": [
            f"Paragraph {at} of document {number}, version {version}, said {rng.getrandbits(32):x}."
            for at in range(rng.randint(1, 6))
        ]
        for number in numbers
    }


def jobs(seed: int) -> list[Files]:
    """All of the files, then some of them changed, as jobs of a few files each."""
    first = [files(seed, 1, range(at, at + PER_JOB)) for at in range(0, FILES, PER_JOB)]
    return [*first, *(files(seed, 2, range(at, at + PER_JOB)) for at in range(0, FILES // 10, PER_JOB))]


def check(ingestion: Ingestion) -> None:
    """Every acknowledged file is fully there exactly once, nothing else is, and every job says how it ended."""
    ended = ingestion.finished()
    assert Counter(job["status"] for job in ended) == {"done": len(ended)}, [
        job["reason"] for job in ended if job["status"] != "done"
    ]
    assert ingestion.passages() == ingestion.acknowledged
    total = sum(len(paragraphs) for paragraphs in ingestion.acknowledged.values())
    [collection] = httpx.get(f"{ingestion.retrieval}/v1/collections").json()["collections"]
    assert collection["passages"] == total
    for worker in ingestion.workers:
        metrics = httpx.get(f"{worker.url('dataprep')}/metrics").text
        assert 'ragline_dataprep_files_total{outcome="failed"' not in metrics


def spread(count: int, *choices: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [choices[at % len(choices)] for at in range(count)]


def test_nothing_is_lost_or_doubled_embedded(tmp_path: Path) -> None:
    with running(tmp_path, {}) as ingestion:
        victims = (("dataprep", "retrieval"), ("embedding", "dataprep"), ("dataprep",), ("retrieval",))
        kills = spread(rounds(2, 20), *victims)
        under_chaos(ingestion, jobs(1), Chaos(ingestion, 1, kills))
        check(ingestion)
    assert list((tmp_path / "jobs" / "spool").iterdir()) == []


@pytest.mark.skipif(not SOAK, reason="the embedded stores' round is in make test: make test-soak")
def test_nothing_is_lost_or_doubled_redis(tmp_path: Path, redis_server: RedisServer) -> None:
    """Two workers on one queue; Redis holds the passages, the jobs and the files, and is killed too."""
    redis_server.flush()
    with running(tmp_path, {}, redis_server) as ingestion:
        kills = spread(
            rounds(3, 20),
            ("dataprep",),
            ("dataprep2", "redis"),
            ("dataprep", "retrieval"),
            ("redis",),
            ("dataprep2",),
            ("retrieval",),
        )
        under_chaos(ingestion, jobs(3), Chaos(ingestion, 3, kills))
        check(ingestion)
    with redis_server.client() as client:
        left = [client.ttl(key) for key in client.keys("{ragline-jobs}:bytes:*")]
    assert all(seconds > 0 for seconds in left), "only of uploads that were never accepted, and not for ever"


@pytest.mark.skipif(
    not SOAK, reason="a real model changes how long it takes, not what is kept: make test-soak"
)
def test_nothing_is_lost_or_doubled_with_a_real_model(tmp_path: Path, models_home: Path) -> None:
    model = fetch("all-minilm-l6-v2", models_home)
    env = {
        "EMBEDDING_BACKEND": "openvino",
        "EMBEDDING_MODEL_PATH": str(model if model.is_dir() else model.parent),
    }
    with running(tmp_path, env) as ingestion:
        kills = spread(3, ("dataprep",), ("retrieval",), ("embedding", "dataprep"))
        under_chaos(ingestion, jobs(4)[:5], Chaos(ingestion, 4, kills))
        check(ingestion)
