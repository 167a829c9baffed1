"""Files that are replaced in one step."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from services.core.files import publish, replace_atomically, sync_folder


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of what is flushed to the disk, in order."""
    kinds: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        kinds.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return kinds


@pytest.mark.parametrize("content", [b"new \xff", "n\u00e9w"])
def test_the_content_is_replaced_and_synced_with_its_name(tmp_path, synced, content):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    replace_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [inside.name for inside in tmp_path.iterdir()] == ["file"]
    assert synced == ["file", "folder"]


def test_a_new_file_has_the_usual_mode(tmp_path):
    ordinary, path = tmp_path / "ordinary", tmp_path / "file"
    ordinary.write_bytes(b"")
    replace_atomically(path, b"")
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_a_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [inside.name for inside in tmp_path.iterdir()] == ["file"]


def test_writers_at_once_never_publish_each_others_half(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([65 + writer]) * 200_000 for writer in range(4)]
    replace_atomically(path, contents[0])

    def write(content: bytes) -> None:
        for _ in range(5):
            replace_atomically(path, content)
            assert path.read_bytes() in contents

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents


def test_a_finished_file_is_given_its_name_durably(tmp_path, synced):
    part, path = tmp_path / "part", tmp_path / "file"
    part.write_bytes(b"new")
    path.write_bytes(b"old")
    publish(part, path)
    assert (path.read_bytes(), part.exists()) == (b"new", False)
    assert synced == ["file", "folder"]


def test_a_folder_that_cannot_be_opened_is_passed_over():
    sync_folder(Path("/no/such/folder"))
