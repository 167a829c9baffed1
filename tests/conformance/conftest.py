"""The real generation service, with an entry for every recording, profile and chunking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product

import httpx
import orjson
import pytest

from services.generation.app import create
from services.generation.settings import Settings
from tests.conformance.recordings import CHUNKINGS, Recording, recordings
from tests.conformance.standin import StandIn
from tests.contract.conftest import running


@dataclass(frozen=True)
class Service:
    """Where the entries of each environment are served, and what stands in for their engines."""

    urls: dict[tuple[tuple[str, str], ...], str]
    standin: StandIn

    def url(self, recording: Recording) -> str:
        return self.urls[recording.environment]


def entry_name(recording: Recording, profile: str, chunking: str) -> str:
    return f"{recording.name}.{profile or 'own'}.{chunking}"


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    standin = StandIn()
    environments = {recording.environment for recording in recordings()}
    with ExitStack() as stack:
        server = stack.enter_context(running(standin.app()))
        urls = {}
        for environment in sorted(environments):
            entries = [
                {
                    "name": entry_name(recording, profile, chunking),
                    "engine": recording.engine,
                    "endpoint": f"{server}/{recording.name}/{chunking}{recording.version}",
                    "model_id": recording.model_id,
                    "profile": profile,
                }
                for recording in recordings()
                if recording.environment == environment
                for profile, chunking in product(recording.profiles, CHUNKINGS)
            ]
            with pytest.MonkeyPatch.context() as patch:
                for variable, value in environment:
                    patch.setenv(variable, value)
                app = create(Settings(backends=orjson.dumps(entries).decode()))
                urls[environment] = stack.enter_context(running(app))
                httpx.get(f"{urls[environment]}/v1/models", timeout=60).raise_for_status()
        yield Service(urls, standin)
