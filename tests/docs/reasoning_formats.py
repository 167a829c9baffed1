"""The table of docs/reasoning-formats.md, made from the recordings; run as a script, this writes it."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.recordings import Recording, recordings

PAGE = Path(__file__).parents[2] / "docs" / "reasoning-formats.md"
DOCUMENTED = """Where each format is documented. The fixtures are written after what the sources say, none was recorded from
a running server (a real llama.cpp server has tests of its own). Those marked *not compared* were written from what is
commonly known of the source and not held against its text yet, or show what no documentation has."""
BEGIN, END = "<!-- formats -->\n", "<!-- /formats -->\n"


def table() -> str:
    """A Markdown table: who emits it and how it is set, what it emits, what Ragline delivers, the source."""
    lines = ["| server | setting | emits | Ragline delivers | recording |", "|---|---|---|---|---|"]
    for recording in recordings():
        cells = [
            recording.server,
            recording.setting,
            recording.emits,
            _delivered(recording),
            f"[{recording.name}](../tests/conformance/formats/{recording.name}.json)",
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def sources() -> str:
    """A list: the recording and the documentation that its format is written by."""
    return "".join(
        f"- {recording.name}{'' if recording.checked else ' (*not compared*)'}: {recording.source}.\n"
        for recording in recordings()
    )


def _delivered(recording: Recording) -> str:
    delivers = recording.delivers
    parts = ["trace" if delivers.reasoning else "no trace", "answer", f"`{delivers.finish_reason}`"]
    if recording.then:
        parts.append("asked once more for the answer")
    if recording.reasoning_tokens is not None:
        parts.append("reasoning tokens of the engine")
    if recording.note:
        parts.append(recording.note)
    return ", ".join(parts)


def rendered(page: str) -> str:
    """The page with the table and the sources of now."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}{table()}\n{DOCUMENTED}\n\n{sources()}{END}{after}"


def main() -> None:
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
