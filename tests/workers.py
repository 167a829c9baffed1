"""How `make test` divides the tests among the workers of pytest-xdist.

A file's tests run in one worker, so that what they share is made once. The files that ask the running stack
are one unit of work, so that the stack starts once in the whole run.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

STACK = "tests/integration/stack/"
"""The folder of the tests that ask the running stack."""

ORDER = (
    "tests/integration/stack/",
    "tests/integration/",
    "tests/contract/",
    "tests/chart/",
    "tests/conformance/",
    "tests/e2e/",
)
"""What takes longest begins first; the many short files at the end let the workers finish together."""


class SharedFixtures(LoadScopeScheduling):
    """Gives a worker one file after the other, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return STACK if nodeid.startswith(STACK) else nodeid.split("::", 1)[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the tests by the folder they are in, and leave those of a folder as they are."""
    items.sort(
        key=lambda item: next(
            (at for at, folder in enumerate(ORDER) if item.nodeid.startswith(folder)), len(ORDER)
        )
    )
