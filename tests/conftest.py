"""Fixtures that every kind of test shares."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.core.models.fetch import fetch
from services.core.settings import HomeSettings
from tests.processor_time import ProcessorTime
from tests.soak import rounds

if TYPE_CHECKING:
    from xdist.remote import Producer

    from tests.redis_server import RedisServer
    from tests.workers import SharedFixtures

# llama.cpp's threads must not spin where tests share the processors; OpenMP reads this once, when it is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# an engine that changes while a test asks it would answer twice in different words
os.environ.setdefault("LLM_ENGINE_WAIT", "true")


GUARD = pytest.StashKey["Guard"]()


if find_spec("hypothesis") is not None:  # the engines' environment has none
    from hypothesis import HealthCheck, settings

    # how long an example takes says how busy the machine is, and nothing of what is tested
    settings.register_profile(
        "any machine",
        deadline=None,
        max_examples=rounds(50, 1000),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Start the guard that ends what this run leaves behind; workers of pytest-xdist have their run's."""
    config.pluginmanager.register(ProcessorTime())
    if hasattr(config, "workerinput") or config.option.collectonly or find_spec("psutil") is None:
        return
    from tests.run_guard import Guard  # noqa: PLC0415 - the engines' environment has no psutil

    config.stash[GUARD] = Guard.start()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What has been imported and collected stays to the end: no collection of garbage need look at it again,
    which takes half a second each time, and statsmodels for one asks for it at every call."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedFixtures:
    from tests.workers import SharedFixtures  # noqa: PLC0415 - the engines' environment has no pytest-xdist

    return SharedFixtures(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from tests.workers import longest_first  # noqa: PLC0415 - as above

        longest_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """A run that leaves a process behind has failed, whatever its tests say; the guard ends the process."""
    yield
    guard = session.config.stash.get(GUARD, None)
    left = guard.leftovers() if guard else []
    if left:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        for process in left:
            print(f"\nERROR: a test left a process behind: {process}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if GUARD in config.stash:
        config.stash[GUARD].stop()


@pytest.fixture(scope="session", autouse=True)
def one_trust_store() -> Iterator[None]:
    """httpx reads all CA certificates for each client, 60 ms of work; here one reading is enough for all."""
    if find_spec("httpx") is None:  # the engines' environment has none
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        where = "httpx._transports.default.create_ssl_context"
        patch.setattr(where, cache(import_module("httpx").create_ssl_context))
        yield


@pytest.fixture(scope="session")
def models_home() -> Path:
    """The shared RAGLINE_HOME with the small models in its cache; they are fetched on first use."""
    home = HomeSettings().root
    for name in ("all-minilm-l6-v2", "smollm2-135m-instruct"):
        fetch(name, home)
    return home


@pytest.fixture(scope="session")
def evaluation_data() -> Path:
    """The evaluation data beside the checkout; its tests skip where it is absent."""
    folder = Path(os.environ.get("RAGLINE_EVALUATION_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no evaluation data at {folder}: set RAGLINE_EVALUATION_DATA")
    return folder


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a made-up run, with its results, a load run and its report. Not to be changed."""
    from pipelines.evaluation.report.writing import write_report  # noqa: PLC0415 - a second for the others
    from tests.evaluation_run import write_run  # noqa: PLC0415 - as above

    folder = tmp_path_factory.mktemp("reported") / "run"
    write_run(folder)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis with RediSearch, running; a test may kill and start it. Empty for each module."""
    from tests.redis_server import RedisServer  # noqa: PLC0415 - the engines' environment has no redis

    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a parameter of bytes "bytes": compressed ones hold the time at which they were made, and all workers
    must name the tests alike."""
    return "bytes" if isinstance(val, bytes) else None
