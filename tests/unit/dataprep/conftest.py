"""Files that several tests need."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import samples

MakePdf = Callable[..., bytes]


@pytest.fixture(scope="session")
def make_pdf() -> MakePdf:
    return samples.pdf


@pytest.fixture(scope="session")
def encrypted_pdf() -> bytes:
    return samples.encrypted_pdf()
