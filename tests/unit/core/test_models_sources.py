from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from services.core.models.sources import folder_size


def test_the_bytes_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "deep" / "deeper" / "b").write_bytes(b"123")
    assert folder_size(tmp_path) == 8
    assert folder_size(tmp_path / "absent") == 0


def test_a_folder_that_vanishes_while_it_is_read_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip's own temporary folders do."""
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "a").write_bytes(b"12345")
    (tmp_path / "kept").write_bytes(b"123")
    scandir = os.scandir

    def vanishing(path: object) -> object:
        if path != str(tmp_path):
            return scandir(path)
        entries = _Closed(list(scandir(tmp_path)))
        shutil.rmtree(tmp_path / "unpacked")
        return entries

    monkeypatch.setattr(os, "scandir", vanishing)
    assert folder_size(tmp_path) == 3
    assert not (tmp_path / "unpacked").exists()


class _Closed:
    """Entries that were read before, as `os.scandir` gives them."""

    def __init__(self, entries: list[os.DirEntry[str]]) -> None:
        self._entries = iter(entries)

    def __enter__(self) -> _Closed:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __iter__(self) -> _Closed:
        return self

    def __next__(self) -> os.DirEntry[str]:
        return next(self._entries)
