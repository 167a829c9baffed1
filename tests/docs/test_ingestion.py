"""docs/ingestion.md lists what is read."""

from __future__ import annotations

import re
from pathlib import Path

from services.dataprep.parsing.archives import SUFFIXES
from services.dataprep.parsing.formats import FORMATS
from services.dataprep.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "ingestion.md").read_text()


def test_every_suffix_is_listed_and_no_other() -> None:
    table = PAGE.partition("| format |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("|") and "---" not in line]
    listed = [suffix for row in rows for suffix in row[2].split() if suffix.startswith(".")]
    assert sorted(listed) == sorted(suffix for suffixes in FORMATS.values() for suffix in suffixes)
    assert all(f"{suffix}" in PAGE for suffix in SUFFIXES)


def test_every_setting_it_names_exists() -> None:
    names = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(re.findall(r"`((?:DATAPREP|CHUNK)_[A-Z_]+)(?:=\w+)?`", PAGE)) <= names
