"""The models that the services will need, fetched where the user sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from pydantic_settings import BaseSettings
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from services.cli.console import Output
from services.core import backends
from services.core.models.catalogue import CATALOGUE
from services.core.models.fetch import Fetcher, Progress, ProgressCallback, location
from services.core.models.memory import check_memory, estimate_memory, read_memory_limit
from services.core.models.references import find_catalogue_name, find_model, read_reference
from services.embedding.settings import Settings as EmbeddingSettings
from services.generation.backend import PACKAGE
from services.generation.configuration import find_backend, read_entries
from services.generation.entries import ModelEntry
from services.generation.settings import EntrySettings

S = TypeVar("S", bound=BaseSettings)

IN_PROCESS = frozenset({"auto", "openvino", "llamacpp"})
STEP_PERCENT = 10
"""Between two lines of progress, where it is not a terminal."""

TELL_SECONDS = 15.0
"""After so long without a line it is said that the fetching still goes on, and what it does."""


def needed_models(names: Iterable[str], env: Mapping[str, str]) -> list[str]:
    """The models that these services load at their start with the environment `env`.

    Raises `BadEntries` where it describes no usable model entry.
    """
    chosen = set(names)
    models = [
        *(_embedding_models(env) if "embedding" in chosen else []),
        *(_generation_models(env) if "generation" in chosen else []),
    ]
    return [name for name in models if name in CATALOGUE or read_reference(name)]


def fetch_models(names: Sequence[str], home: Path, output: Output, *, context: int = 0) -> None:
    """Fetch these models into `home`, with their progress. Nothing is said of those that are here and fit.

    Args:
        names: Names of the catalogue, hub ids or URLs.
        home: The folder RAGLINE_HOME.
        output: Is told what happens.
        context: Tokens that they will be run with on this machine, so that their memory is checked; 0: they
            are only fetched.

    Raises:
        NotEnoughMemory: One cannot run here; it is not fetched.
    """
    fetcher = Fetcher(home)
    for name in names:
        model = find_model(name)
        present = fetcher.present(name)
        size = fetcher.measure(name) if model.reference else model.size
        if context and model.kind == "llm":
            needed = estimate_memory(size, model.kv_bytes, context)
            if warning := check_memory(name, needed, read_memory_limit()):
                output.problem(warning)
        if present:
            continue
        if model.reference:
            output.problem(
                f"{name} is not in the catalogue, which pins no bytes of it: what comes is recorded"
            )
        output.line(f"fetching {name} ({format_size(size)})")
        with _show_progress(output) as report:
            fetcher.fetch(name, progress=report)
        output.line(f"{name} is at {location(model, home)}")


def fetch_needed(names: Sequence[str], env: Mapping[str, str], home: Path, output: Output) -> None:
    """Fetch what these services load at their start with the environment `env`; see the two above.

    Raises:
        BadEntries: It describes no usable model entry.
        NotEnoughMemory: The default entry's model cannot run here.
    """
    models = needed_models(names, env)
    context = _read_default(env).max_context if "generation" in names else 0
    fetch_models(models, home, output, context=context)


def format_size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


@contextmanager
def _show_progress(output: Output) -> Iterator[ProgressCallback]:
    if not output.out.is_terminal:
        with _ProgressLines(output) as lines:
            yield lines
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=output.out, transient=True) as bars:
        task = bars.add_task("", total=None)

        def report(progress: Progress) -> None:
            bars.update(task, description=progress.note, completed=progress.done, total=progress.total)

        yield report


class _ProgressLines:
    """Progress where it is no terminal: a line every ten percent, at each new kind of wait, and now and then.

    The lines that come now and then come from a thread: pip at work, a large file that is hashed and a hub
    that does not answer report nothing.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told: tuple[int, str] = (-1, "")
        self._begun = self._last = time.monotonic()
        self._now = "looking for it"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_telling, name="fetch-lines", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __call__(self, progress: Progress) -> None:
        percent = 100 * progress.done // max(1, progress.total)
        self._now = f"{percent} %, {progress.note}"
        step = percent // STEP_PERCENT
        waiting = progress.note if progress.note.startswith("waiting") else ""
        if step > self._told[0] or waiting != self._told[1]:
            self._told = (max(step, self._told[0]), waiting)
            self._last = time.monotonic()
            self._output.line(f"  {step * STEP_PERCENT:3d} %  {progress.note}")

    def _keep_telling(self) -> None:
        while not self._ended.wait(max(0.01, self._last + TELL_SECONDS - time.monotonic())):
            now = time.monotonic()
            if now - self._last >= TELL_SECONDS:
                self._last = now
                self._output.line(f"  still fetching after {now - self._begun:.0f} s: {self._now}")


def _embedding_models(env: Mapping[str, str]) -> list[str]:
    if _read_settings(EmbeddingSettings, env).backend != "openvino":
        return []
    from services.embedding.backends.openvino import Settings  # noqa: PLC0415 - loads the engine's libraries

    settings = _read_settings(Settings, env)
    return [] if settings.model_path else [settings.catalogue_name]


def _read_default(env: Mapping[str, str]) -> ModelEntry:
    return read_entries(_read_settings(EntrySettings, env), backends.names(PACKAGE)).default


def _generation_models(env: Mapping[str, str]) -> list[str]:
    default = _read_default(env)
    if find_backend(default.engine) not in IN_PROCESS or default.model_path:
        return []
    return [find_catalogue_name(default.model_id)]


def _read_settings(settings: type[S], env: Mapping[str, str]) -> S:
    """The settings that a process with this environment would have: every field is given, none looked up."""
    values: dict[str, object] = {}
    for name, field in settings.model_fields.items():
        alias = str(field.validation_alias or name)
        values[alias] = env.get(alias) or field.get_default(call_default_factory=True, validated_data={})
    return settings.model_validate(values)
