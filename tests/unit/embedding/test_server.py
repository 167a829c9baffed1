"""What the backends share that call a server."""

from __future__ import annotations

from services.embedding.backends._server import split_texts


def test_runs_keep_the_order() -> None:
    assert [list(run) for run in split_texts("abcde", 2)] == [["a", "b"], ["c", "d"], ["e"]]
    assert list(split_texts([], 2)) == []
