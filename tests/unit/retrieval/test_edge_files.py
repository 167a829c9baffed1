"""What a power failure leaves of the embedded store: the log that was brought to the disk, and any of the rest."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
from services.retrieval.backends.edge.files import WriteLog
from services.retrieval.backends.edge.shard import FLUSH_EVERY, Shard
from services.retrieval.filters import parse_filter
from services.retrieval.points import Point, make_points
from tests.soak import rounds

DIM = 16
PAGE = 4096


def document(number: int, text: str = "first", passages: int = 8) -> list[Point]:
    rng = np.random.default_rng(number)
    return make_points(
        [
            StoredPassage(
                passage=Passage(
                    id=f"{number}-{index}", document_id=f"d{number}", text=f"{text} {index} " * 40
                ),
                vector=rng.standard_normal(DIM).tolist(),
            )
            for index in range(passages)
        ]
    )


def files(folder: Path) -> Iterator[Path]:
    return (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())


def copy(folder: Path, to: Path) -> None:
    """With holes where the log's files, of 32 MB each, have nothing yet."""

    def sparse(source: str, target: str) -> None:
        data = Path(source).read_bytes()
        with Path(target).open("wb") as file:
            file.write(data.rstrip(b"\0"))
            file.truncate(len(data))

    shutil.copytree(folder, to, copy_function=sparse)


def torn(flushed: Path, written: Path, into: Path, seed: int) -> None:
    """Every page of the shard's files, but for its log, as flushed or as written since: the kernel may have
    written back either."""
    rng = random.Random(seed)
    copy(written, into)
    for name in files(written):
        if name.parts[0] == "wal" or not (flushed / name).exists():
            continue
        old, new = (flushed / name).read_bytes(), (written / name).read_bytes()
        length = rng.choice([len(old), len(new)])
        pages = (rng.choice([old, new])[at : at + PAGE] for at in range(0, length, PAGE))
        (into / name).write_bytes(b"".join(page.ljust(PAGE, b"\0") for page in pages)[:length])


def texts(shard: Shard) -> dict[str, str]:
    return {str(each.payload["id"]): str(each.payload["text"]) for each in shard.scroll(["id", "text"])}


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(rounds(1, 16)))
def test_after_a_power_failure_all_that_was_saved_is_there(tmp_path: Path, seed: int) -> None:
    shard = Shard.create(tmp_path / "shard", DIM)
    for number in range(6):
        shard.upsert(document(number))
    shard.flush()
    copy(tmp_path / "shard", tmp_path / "flushed")
    for number in range(6, 12):
        shard.upsert(document(number))
    shard.upsert(document(2, "second"))
    shard.delete([point.id for point in document(3)])
    shard.save()
    copy(tmp_path / "shard", tmp_path / "written")
    expected = texts(shard)
    shard.close()
    torn(tmp_path / "flushed", tmp_path / "written", tmp_path / "left", seed)

    found = Shard.load(tmp_path / "left")
    assert texts(found) == expected
    assert len(expected) == 11 * 8
    for point in (*document(0), *document(2, "second"), *document(11)):
        (hit,) = found.search(np.array(point.vector, np.float32), k=1, where=parse_filter(None), keys=["id"])
        assert (hit.id, round(hit.score, 5)) == (point.id, 1)
    found.close()


def read_begin(path: Path) -> bytearray:
    """Read what was written to a file of the log, to whose 32 MB writes are added from its begin on."""
    content = bytearray()
    with path.open("rb") as file:
        while (part := file.read(1 << 16)).strip(b"\0"):
            content += part
    return content


@dataclass
class Saves:
    """What the saves of a shard brought to the disk: which files of its log, and how often everything."""

    wal: Path
    synced: list[str]
    flushes: int = 0

    def write(self, shard: Shard, number: int, text: str, repeated: int = 1) -> set[str]:
        """Write and save a point. Returns the files of the log that hold it.

        The engine begins and renames files of its log on a thread of its own: whatever it does meanwhile, these
        files were synced, or everything was.
        """
        self.synced.clear()
        flushes = self.flushes
        (point,) = document(number, text, passages=1)
        shard.upsert([replace(point, payload={**point.payload, "text": text * repeated})])
        shard.save()
        holders = self.holders(text.encode())
        assert holders
        assert holders <= set(self.synced) or self.flushes > flushes
        return holders

    def names(self) -> set[str]:
        return {path.name for path in self.wal.iterdir()}

    def holders(self, content: bytes) -> set[str]:
        while True:
            names = self.names()
            with suppress(FileNotFoundError):
                found = {name for name in names if content in read_begin(self.wal / name)}
                if names == self.names():
                    return found


@pytest.fixture
def saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saves:
    """Of a shard in the folder `shard`."""
    saves = Saves(tmp_path / "shard" / "wal", [])
    real_sync, real_flush = os.fdatasync, Shard.flush

    def sync(descriptor: int) -> None:
        saves.synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_sync(descriptor)

    def flush(self: Shard) -> None:
        saves.flushes += 1
        real_flush(self)

    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(Shard, "flush", flush)
    return saves


def test_a_save_brings_the_log_to_the_disk_and_only_now_and_then_everything(
    tmp_path: Path, saves: Saves
) -> None:
    shard = Shard.create(tmp_path / "shard", DIM)
    saves.write(shard, 0, "first")
    assert saves.flushes == 1  # the log's files are new
    names = [saves.names()]
    for number in range(1, FLUSH_EVERY):
        saves.write(shard, number, f"<number {number}>")
        names.append(saves.names())
    begun = sum(
        now != before for before, now in pairwise(names)
    )  # for each of them one flush, which it is due to
    assert saves.flushes <= 1 + begun  # each may have been the reason for one
    assert begun < FLUSH_EVERY // 2
    for number in range(FLUSH_EVERY, 2 * FLUSH_EVERY + 1):
        saves.write(shard, number, f"<number {number}>")
    assert saves.flushes >= 2
    shard.close()


def test_a_log_with_files_that_are_not_held_is_not_synced(tmp_path: Path) -> None:
    log = WriteLog(tmp_path)
    (tmp_path / "open-1").write_bytes(b"a")
    assert not log.sync()
    log.hold()
    assert log.sync()
    (tmp_path / "open-1").rename(tmp_path / "closed-1")
    (tmp_path / "open-2").write_bytes(b"b")
    assert not log.sync()
    log.hold()
    assert log.sync()
    log.close()
    assert not log.sync()


def test_when_the_engine_begins_a_new_file_of_its_log_all_is_flushed(tmp_path: Path, saves: Saves) -> None:
    """A file of it holds 32 MB: some 30 of these writes."""
    shard = Shard.create(tmp_path / "shard", DIM)
    first = saves.write(shard, 0, "first")
    flushes, number, is_new = saves.flushes, 0, False
    while not is_new or saves.flushes == flushes:
        number += 1
        assert number < FLUSH_EVERY - 2  # a flush that is due anyway would show nothing
        is_new = not saves.write(shard, number, f"<number {number}>", repeated=100_000) <= first
    shard.close()
