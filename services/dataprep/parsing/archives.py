"""Archives, read member by member within limits. Runs in a parser process; nothing is written here.

A member that cannot be had (encrypted, a link, too large, of an unsafe name) is that member's problem. What
is wrong with the archive as a whole ends it: too many members, too many bytes, a ratio that only bombs
have. Sizes are counted as they come, never believed. Directories, and what macOS adds, are passed over.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from services.dataprep.parsing.document import Limits, Unparsable

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".gz")
PIECE_BYTES = 1 << 18
TAIL_BYTES = tarfile.RECORDSIZE
RATIO_FROM = 1 << 20
"""Up to so many bytes an archive may unpack to whatever its ratio: a megabyte harms nobody."""

_ENCRYPTED = 0x1
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)
_NESTED = Unparsable("unsupported", "is an archive within an archive: unpack it first")
_ENCRYPTED_MEMBER = Unparsable("invalid", "is encrypted: pack it without a password")
_LINK = Unparsable("unsupported", "is a link, which is not followed: pack the file itself")
_DEVICE = Unparsable("unsupported", "is a device or a pipe, not a file")


@dataclass(frozen=True, slots=True)
class Member:
    """The name of a member within its archive, and its bytes or why they cannot be had.

    `pieces` must be read before the next member is asked for, and may raise `Unparsable`, the member's own
    problem or, where `Exhausted`, the archive's.
    """

    name: str
    pieces: Iterator[bytes]


class Exhausted(Unparsable):
    """The archive as a whole is over a limit or broken: what follows in it cannot be had."""


def is_archive(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def expand(path: Path, name: str, limits: Limits) -> Iterator[Member]:
    """The files in the archive at `path`, called `name`. Raises `Exhausted`."""
    meter = Meter(path.stat().st_size, limits)
    lower = name.lower()
    try:
        if not meter.packed:
            raise Exhausted("invalid", "is empty: there is nothing to ingest")
        if lower.endswith(".zip"):
            members = _zip(path, meter)
        elif lower.endswith((".tar", ".tar.gz", ".tgz")):
            members = _tar(path, meter)
        else:
            members = _gzip(path, name, meter)
        count = 0
        for count, member in enumerate(members, start=1):
            if count > limits.members:
                raise Exhausted("too_large", f"holds more than {limits.members} files: split it")
            yield member
    except _BROKEN as error:
        raise _broken(error) from None
    if not count:
        raise Exhausted("invalid", "holds no files: there is nothing to ingest")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Meter:
    """Counts what an archive unpacks to, of all its members together."""

    def __init__(self, packed: int, limits: Limits) -> None:
        self.packed = packed
        self.limits = limits
        self._expanded = 0

    def count(self, amount: int) -> None:
        """Raises `Exhausted` when what has been unpacked is too much."""
        self._expanded += amount
        if self._expanded > self.limits.expanded_bytes:
            raise Exhausted(
                "too_large", f"unpacks to more than {self.limits.expanded_bytes} bytes: split the archive"
            )
        if self._expanded > max(RATIO_FROM, self.limits.ratio * self.packed):
            raise Exhausted(
                "too_large", f"unpacks to more than {self.limits.ratio} times its size, as only bombs do"
            )


class _Counted:
    """A stream behind the meter; of a tar, headers and members passed over count too."""

    def __init__(self, source: _Readable, meter: Meter) -> None:
        self._source = source
        self._meter = meter
        self._tail = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._meter.count(len(data))
        self._position += len(data)
        self._tail = self._tail[-TAIL_BYTES:] + data
        return data

    def block(self, at: int) -> bytes:
        """The tar block at `at`, which was among the last to be read."""
        start = at - (self._position - len(self._tail))
        return self._tail[start : start + tarfile.BLOCKSIZE] if start >= 0 else b""


def _pieces(source: _Readable, limit: int) -> Iterator[bytes]:
    size = 0
    while piece := source.read(PIECE_BYTES):
        size += len(piece)
        if size > limit:
            raise Unparsable("too_large", "is larger than DATAPREP_MAX_FILE_BYTES allows: split it")
        yield piece


def _zip(path: Path, meter: Meter) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir() or _is_litter(info.filename):
                continue
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                yield _refused(info.filename, _LINK)
            elif info.flag_bits & _ENCRYPTED:
                yield _refused(info.filename, _ENCRYPTED_MEMBER)
            elif (problem := _unsafe(info.filename)) is not None:
                yield _refused(info.filename, problem)
            else:
                yield Member(info.filename, _unzipped(archive, info, meter))


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: Meter) -> Iterator[bytes]:
    try:
        with archive.open(info) as source:
            yield from _pieces(_Counted(source, meter), meter.limits.member_bytes)
    except (*_BROKEN, NotImplementedError, RuntimeError) as error:
        raise Unparsable("invalid", f"cannot be unpacked: {_reason(error)}; pack it again") from None


def _tar(path: Path, meter: Meter) -> Iterator[Member]:
    """Read as a stream, so that a compressed one is unpacked once, and never beyond what is counted."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if compressed else path.open("rb") as plain:
        stream = _Counted(plain, meter)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
            for info in archive:
                if info.isdir() or _is_litter(info.name):
                    continue
                if info.issym() or info.islnk():
                    yield _refused(info.name, _LINK)
                elif not info.isfile():
                    yield _refused(info.name, _DEVICE)
                elif (problem := _unsafe(info.name)) is not None:
                    yield _refused(info.name, problem)
                else:
                    yield Member(info.name, _untarred(archive, info, meter))
            if stream.block(archive.offset) != bytes(tarfile.BLOCKSIZE):  # tarfile says nothing of it
                raise tarfile.ReadError("it ends before its end mark")


def _untarred(archive: tarfile.TarFile, info: tarfile.TarInfo, meter: Meter) -> Iterator[bytes]:
    source = archive.extractfile(info)
    if source is not None:
        yield from _whole(_pieces(source, meter.limits.member_bytes))


def _gzip(path: Path, name: str, meter: Meter) -> Iterator[Member]:
    inner = PurePosixPath(name).name[: -len(".gz")]
    if (problem := _unsafe(inner)) is not None:
        yield _refused(inner, problem)
        return
    with gzip.open(path) as source:
        yield Member(inner, _whole(_pieces(_Counted(source, meter), meter.limits.member_bytes)))


def _whole(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A stream that breaks within a member has nothing readable behind it."""
    try:
        yield from pieces
    except _BROKEN as error:
        raise _broken(error) from None


def _refused(name: str, problem: Unparsable) -> Member:
    return Member(name, _raising(problem))


def _raising(problem: Unparsable) -> Iterator[bytes]:
    raise problem
    yield b""


def _unsafe(name: str) -> Unparsable | None:
    """Why a member of this name is refused; it becomes a document's name, never a path on a disk."""
    if name.startswith("/") or "\\" in name or ":" in name[:3]:
        return Unparsable("invalid", "is an absolute path or has a backslash: pack it with relative paths")
    if any(part in {"", ".", ".."} for part in name.removeprefix("./").split("/")):
        return Unparsable("invalid", "has an empty, . or .. part: pack it with plain relative paths")
    return _NESTED if is_archive(name) else None


def _is_litter(name: str) -> bool:
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1] in {"", ".DS_Store", "Thumbs.db"}


def _broken(error: BaseException) -> Exhausted:
    return Exhausted("invalid", f"is a broken archive: {_reason(error)}; pack it again")


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
