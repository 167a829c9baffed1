"""How often it is decided rightly what a message of a conversation is, on labelled messages in five languages.

`talk` greets, thanks or takes leave: no document is searched. `follow` asks about the answer before it: that can be
answered where no passage is found. `ask` is a question to the documents: neither. The word lists were mended by the
messages of the first, third and so on line; the others are held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pipelines.conversation import holds_answer, is_small_talk
from pipelines.evaluation.statistics.intervals import proportion_interval
from services.core.wire.chat import ChatMessage
from tests.bench._report import report

UTTERANCES = Path(__file__).with_name("utterances.tsv")
HISTORY = (
    ChatMessage(role="user", content="How long does the ferry take?"),
    ChatMessage(role="assistant", content="The ferry needs 50 minutes. [1]"),
)


@dataclass(frozen=True)
class Utterance:
    """A message, what it is, and whether the word lists were mended by it."""

    language: str
    label: str
    text: str
    held_out: bool

    @property
    def decided(self) -> str:
        """What it is taken for, after an answer."""
        if is_small_talk(self.text):
            return "talk"
        return "follow" if holds_answer(self.text, HISTORY) else "ask"


def read_utterances() -> list[Utterance]:
    """Read the labelled messages."""
    lines = UTTERANCES.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return [
        Utterance(language, label, text, held_out=bool(at % 2))
        for at, (language, label, text) in enumerate(rows)
    ]


def measure(utterances: list[Utterance]) -> list[dict[str, str | float]]:
    """Make a row for each language and label, and for all of them."""
    languages, labels = ("en", "de", "fr", "es", "ja"), ("talk", "follow", "ask")
    groups = [*product(languages, labels), *product(("all",), (*labels, "all"))]
    return [
        {
            "language": language,
            "is": label,
            **{
                name: _share(
                    [
                        one.decided == one.label
                        for one in utterances
                        if language in {one.language, "all"}
                        and label in {one.label, "all"}
                        and one.held_out is held
                    ]
                )
                for name, held in (("lists mended by", False), ("held out", True))
            },
        }
        for language, label in groups
    ]


def _share(right: list[bool]) -> str:
    low, high = proportion_interval(sum(right), len(right)) or (0.0, 1.0)
    return f"{sum(right)} of {len(right)} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Print how often it is decided rightly."""
    utterances = read_utterances()
    title = "Messages that are rightly taken for small talk, a question about the answer before, or one to the documents"
    report(
        "conversation",
        title,
        measure(utterances),
        n=len(utterances),
        note="in brackets: Wilson's 95 % interval",
    )


if __name__ == "__main__":
    main()
