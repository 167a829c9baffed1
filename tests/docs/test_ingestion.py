"""docs/ingestion.md lists what is read."""

from __future__ import annotations

import re
from pathlib import Path

from services.dataprep.parsing.archives import SUFFIXES
from services.dataprep.settings import Settings
from tests.docs import formats_table

PAGE = (Path(__file__).parents[2] / "docs" / "ingestion.md").read_text()


def test_the_table_is_that_of_the_formats() -> None:
    assert formats_table.rendered(PAGE) == PAGE, "run: make formats-table"
    assert all(suffix in PAGE for suffix in SUFFIXES)


def test_every_setting_it_names_exists() -> None:
    names = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(re.findall(r"`((?:DATAPREP|CHUNK)_[A-Z_]+)(?:=\w+)?`", PAGE)) <= names
