"""How often tests repeat what must hold every time: a round each in `make test`, many in `make test-soak`."""

from __future__ import annotations

import os

import pytest

SOAK = os.environ.get("RAGLINE_SOAK", "") not in {"", "0"}


def rounds(usual: int, soak: int) -> int:
    """The number of repetitions in a usual run, and in one that looks for what happens rarely."""
    return soak if SOAK else usual


def soak_only(*values: object, reason: str, id: str | None = None) -> object:  # noqa: A002 - as pytest's
    """A test's parameter that `make test-soak` alone tries; `reason` says what shows the same in `make test`."""
    skip = pytest.mark.skipif(not SOAK, reason=f"{reason}: make test-soak")
    return pytest.param(*values, id=id, marks=[pytest.mark.soak, skip])
