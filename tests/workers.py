"""How `make test` divides the tests among the workers of pytest-xdist.

A file's tests run in one worker, so that what they share is made once; so do all that ask the running stack, and
all that load language models into their own process, which would else wait for each other's processors.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/integration/stack/": "the running stack",
    "tests/clients/": "the clients' gateway",
    "tests/contract/real_models/": "language models",
    "tests/contract/test_generation.py": "language models",
    "tests/contract/test_generation_llama_server.py": "language models",
    "tests/contract/test_generation_openvino.py": "language models",
    "tests/e2e/test_report_browser.py": "the report",
    "tests/unit/pipelines/evaluation/test_report.py": "the report",
}
"""Folders and files by the unit of work that their tests are part of; every other file is one of its own."""

ORDER = (
    "tests/integration/stack/",
    "tests/integration/",
    "tests/contract/real_models/",
    "tests/contract/",
    "tests/chart/",
    "tests/conformance/",
    "tests/e2e/",
)
"""What takes longest begins first; the many short files at the end let the workers finish together."""


class SharedFixtures(LoadScopeScheduling):
    """Gives a worker one unit of work after the other, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((unit for part, unit in TOGETHER.items() if file.startswith(part)), file)


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the tests by the folder they are in, and leave those of a folder as they are."""

    def place(item: pytest.Item) -> int:
        return next((at for at, part in enumerate(ORDER) if item.nodeid.startswith(part)), len(ORDER))

    items.sort(key=place)
