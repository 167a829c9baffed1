"""A format is one file: what declares it is found by listing the folder, and costs no library."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.uploading import collect_uploads
from services.dataprep.parsing import formats
from services.dataprep.parsing.document import Unparsable
from services.dataprep.parsing.registry import (
    all_formats,
    format_of,
    parse,
    suffix_of_type,
    supported_suffixes,
)

LIBRARY = "a_library_of_loud_files"
SHOUTED = f"""
from services.dataprep.parsing.document import Format, ParsedDocument

FORMAT = Format(
    title="Shouted", suffixes=(".loud",), content_types={{"text/loud": ".loud"}}, magic=b"LOUD", called="a shout"
)


def parse(data, limits, suffix):
    import {LIBRARY} as library

    return ParsedDocument(data.decode().lower() + library.ENDING)
"""


@pytest.fixture
def loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A format's file in a folder of its own, which is looked into beside the formats' folder."""
    (tmp_path / "loud.py").write_text(SHOUTED)
    (tmp_path / "_helper.py").write_text("raise RuntimeError('not a format')")
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    yield tmp_path
    for name in (f"{formats.__name__}.loud", LIBRARY):
        sys.modules.pop(name, None)


def test_a_file_in_the_folder_is_a_format(
    loud: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path_factory.mktemp("library")
    (library / f"{LIBRARY}.py").write_text("ENDING = '.'\n")
    monkeypatch.syspath_prepend(library)
    assert list(all_formats())[-1] == "loud"
    assert ".loud" in supported_suffixes()
    assert suffix_of_type("text/loud") == ".loud"
    assert format_of("dir/a.LOUD") == "loud"
    assert parse("a.loud", b"LOUD WORDS").text == "loud words."
    with pytest.raises(Unparsable, match="is a shout, not markdown"):
        parse("a.md", b"LOUD WORDS")
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.loud").write_text("LOUD")
    assert [upload.path.name for upload in collect_uploads([folder])] == ["a.loud"]


def test_without_its_library_it_is_listed_and_not_read(loud: Path) -> None:
    assert ".loud" in supported_suffixes()
    with pytest.raises(Unparsable, match=f"for want of {LIBRARY}") as caught:
        parse("a.loud", b"LOUD")
    assert caught.value.reason == "unsupported"


def test_no_two_formats_share_a_suffix_or_a_content_type() -> None:
    declared = all_formats().values()
    assert max(Counter(supported_suffixes()).values()) == 1
    types = Counter(content_type for format_ in declared for content_type in format_.content_types)
    assert max(types.values()) == 1
    assert all(
        set(format_.content_types.values()) <= set(format_.suffixes) and format_.read_with and format_.title
        for format_ in declared
    )
    assert all(format_.called for format_ in declared if format_.magic or format_.package_part)


def test_listing_the_formats_imports_none_of_their_libraries() -> None:
    code = (
        "import sys; from services.dataprep.parsing.registry import supported_suffixes; supported_suffixes(); "
        "print([name for name in ('lxml', 'docutils', 'markdown_it', 'pypdfium2', 'docx', 'pptx', 'openpyxl', "
        "'chardet', 'langchain_text_splitters') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
