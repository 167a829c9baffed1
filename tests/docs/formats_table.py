"""The table of formats in docs/ingestion.md, made from the formats' declarations; run as a script, this writes it."""

from __future__ import annotations

from pathlib import Path

from services.dataprep.parsing.registry import all_formats

PAGE = Path(__file__).parents[2] / "docs" / "ingestion.md"
BEGIN, END = "<!-- formats -->\n", "<!-- /formats -->\n"


def table() -> str:
    """Write a Markdown table: the format, its suffixes, its library, its sections and pages, what is left out."""
    lines = [
        "| format | suffixes | read with | what becomes a section, a page | left out |",
        "|---|---|---|---|---|",
    ]
    for format_ in all_formats().values():
        cells = (format_.title, " ".join(format_.suffixes), format_.read_with, format_.sections)
        lines.append(f"| {' | '.join(cells)} | {format_.left_out + ' ' if format_.left_out else ''}|")
    return "\n".join(lines) + "\n"


def rendered(page: str) -> str:
    """Give the page with the table of now."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}{table()}{END}{after}"


def main() -> None:
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
