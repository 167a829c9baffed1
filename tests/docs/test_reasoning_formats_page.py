"""The page of reasoning formats is that of the recordings."""

from __future__ import annotations

from tests.docs import reasoning_formats


def test_the_table_is_that_of_the_recordings() -> None:
    page = reasoning_formats.PAGE.read_text(encoding="utf-8")
    assert page == reasoning_formats.rendered(page), "run: make reasoning-formats"
