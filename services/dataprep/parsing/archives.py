"""Archives and e-mails with attachments, read member by member within limits, in a parser process.

A member that cannot be had (encrypted, a link, too large, of an unsafe name) is that member's problem. What
is wrong with the archive as a whole ends it: too many members, too many bytes, a ratio that only bombs
have. Sizes are counted as they come, never believed. Directories, and what macOS adds, are passed over. An
e-mail's members are its attachments of formats that are read; they may be archives and e-mails again.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from services.dataprep.parsing.archive_names import decode_names, name_members
from services.dataprep.parsing.document import Limits, Unparsable
from services.dataprep.parsing.mail import is_mail, list_attachments, read_mail

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
    """A file in an archive: its name there, and its bytes or why they cannot be had.

    `pieces` must be read before the next member is asked for, and may raise `Unparsable`, the member's own
    problem or, where `ArchiveRefused`, the archive's.
    """

    name: str
    pieces: Iterator[bytes]


class ArchiveRefused(Unparsable):
    """The archive as a whole is over a limit or broken: what follows in it cannot be had."""


def is_archive(name: str) -> bool:
    """Tell an archive by its name's suffix."""
    return name.lower().endswith(SUFFIXES)


def read_members(path: Path, name: str, limits: Limits, supported: Sequence[str] = ()) -> Iterator[Member]:
    """Read the files in the archive or e-mail at `path`, called `name`.

    Args:
        path: The file.
        name: Its name, whose suffix says what it is.
        limits: What it may unpack to.
        supported: How the names of attachments end that are read.

    Raises:
        ArchiveRefused: It is over a limit, or broken.
    """
    meter = Meter(path.stat().st_size, limits)
    lower = name.lower()
    try:
        if not meter.packed:
            raise ArchiveRefused("invalid", "is empty: there is nothing to ingest")
        if is_mail(name):
            yield from _read_attachments(path, name, meter, supported)
            return
        if lower.endswith(".zip"):
            members = _read_zip(path, meter)
        elif lower.endswith((".tar", ".tar.gz", ".tgz")):
            members = _read_tar(path, meter)
        else:
            members = _read_gzip(path, name, meter)
        count = 0
        for count, member in enumerate(members, start=1):
            if count > limits.members:
                raise ArchiveRefused("too_large", f"holds more than {limits.members} files: split it")
            yield member
    except _BROKEN as error:
        raise _broken_archive(error) from None
    if not count:
        raise ArchiveRefused("invalid", "holds no files: there is nothing to ingest")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Meter:
    """Counts what an archive unpacks to, all its members together."""

    def __init__(self, packed: int, limits: Limits) -> None:
        self.packed = packed
        self.limits = limits
        self._expanded = 0

    def count(self, amount: int) -> None:
        """Add so many bytes. Raises `ArchiveRefused` when what has been unpacked is too much."""
        self._expanded += amount
        if self._expanded > self.limits.expanded_bytes:
            raise ArchiveRefused(
                "too_large", f"unpacks to more than {self.limits.expanded_bytes} bytes: split the archive"
            )
        if self._expanded > max(RATIO_FROM, self.limits.ratio * self.packed):
            raise ArchiveRefused(
                "too_large", f"unpacks to more than {self.limits.ratio} times its size, as only bombs do"
            )


class _CountedStream:
    """A stream that the meter counts; of a tar, headers and members passed over count too."""

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

    def block_at(self, at: int) -> bytes:
        """Give the tar block at `at`, which was among the last to be read."""
        start = at - (self._position - len(self._tail))
        return self._tail[start : start + tarfile.BLOCKSIZE] if start >= 0 else b""


def _read_pieces(source: _Readable, limit: int) -> Iterator[bytes]:
    size = 0
    while piece := source.read(PIECE_BYTES):
        size += len(piece)
        if size > limit:
            raise Unparsable("too_large", "is larger than DATAPREP_MAX_FILE_BYTES allows: split it")
        yield piece


def _read_attachments(path: Path, name: str, meter: Meter, supported: Sequence[str]) -> Iterator[Member]:
    mail = read_mail(path.read_bytes(), name)
    for count, attachment in enumerate(list_attachments(mail, supported), start=1):
        if count > meter.limits.members:
            raise ArchiveRefused("too_large", f"holds more than {meter.limits.members} files: split it")
        yield Member(
            attachment.name,
            _read_pieces(_CountedStream(BytesIO(attachment.data), meter), meter.limits.member_bytes),
        )


def _read_zip(path: Path, meter: Meter) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info, name in name_members(archive.infolist()):
            if info.is_dir() or _is_litter(name):
                continue
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                yield _refuse(name, _LINK)
            elif info.flag_bits & _ENCRYPTED:
                yield _refuse(name, _ENCRYPTED_MEMBER)
            elif (problem := _find_name_problem(name)) is not None:
                yield _refuse(name, problem)
            else:
                yield Member(name, _read_zip_member(archive, info, meter))


def _read_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: Meter) -> Iterator[bytes]:
    try:
        with archive.open(info) as source:
            yield from _read_pieces(_CountedStream(source, meter), meter.limits.member_bytes)
    except (*_BROKEN, NotImplementedError, RuntimeError) as error:
        raise Unparsable("invalid", f"cannot be unpacked: {_describe(error)}; pack it again") from None


def _read_tar(path: Path, meter: Meter) -> Iterator[Member]:
    """Read it as a stream, so that a compressed one is unpacked once, and never beyond what is counted."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if compressed else path.open("rb") as plain:
        stream = _CountedStream(plain, meter)
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
            for info in archive:
                name = decode_names([info.name.encode("utf-8", "surrogateescape")])[0]
                if info.isdir() or _is_litter(name):
                    continue
                if info.issym() or info.islnk():
                    yield _refuse(name, _LINK)
                elif not info.isfile():
                    yield _refuse(name, _DEVICE)
                elif (problem := _find_name_problem(name)) is not None:
                    yield _refuse(name, problem)
                else:
                    yield Member(name, _read_tar_member(archive, info, meter))
            if stream.block_at(archive.offset) != bytes(tarfile.BLOCKSIZE):  # tarfile says nothing of it
                raise tarfile.ReadError("it ends before its end mark")


def _read_tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, meter: Meter) -> Iterator[bytes]:
    source = archive.extractfile(info)
    if source is not None:
        yield from _read_whole(_read_pieces(source, meter.limits.member_bytes))


def _read_gzip(path: Path, name: str, meter: Meter) -> Iterator[Member]:
    inner = PurePosixPath(name).name[: -len(".gz")]
    if (problem := _find_name_problem(inner)) is not None:
        yield _refuse(inner, problem)
        return
    with gzip.open(path) as source:
        yield Member(
            inner, _read_whole(_read_pieces(_CountedStream(source, meter), meter.limits.member_bytes))
        )


def _read_whole(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Blame the archive for a stream that breaks within a member: nothing behind it can be read."""
    try:
        yield from pieces
    except _BROKEN as error:
        raise _broken_archive(error) from None


def _refuse(name: str, problem: Unparsable) -> Member:
    return Member(name, _raise(problem))


def _raise(problem: Unparsable) -> Iterator[bytes]:
    raise problem
    yield b""


def _find_name_problem(name: str) -> Unparsable | None:
    """Say why a member of this name is refused; it becomes a document's name, never a path on a disk."""
    if name.startswith("/") or "\\" in name or ":" in name[:3]:
        return Unparsable("invalid", "is an absolute path or has a backslash: pack it with relative paths")
    if any(part in {"", ".", ".."} for part in name.removeprefix("./").split("/")):
        return Unparsable("invalid", "has an empty, . or .. part: pack it with plain relative paths")
    return _NESTED if is_archive(name) else None


def _is_litter(name: str) -> bool:
    """Whether macOS or Windows put it there by itself."""
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1] in {"", ".DS_Store", "Thumbs.db"}


def _broken_archive(error: BaseException) -> ArchiveRefused:
    return ArchiveRefused("invalid", f"is a broken archive: {_describe(error)}; pack it again")


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__
