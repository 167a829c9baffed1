"""Whether what an answer puts in quotation marks stands in its passages word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.citations import strip_markers
from pipelines.evaluation.metric import FROM_PASSAGES, AnswerInContext, answer_metric

_QUOTED = re.compile(
    r"\"([^\"\n]+)\"|\u201c([^\u201d\n]+)\u201d|\u00ab([^\u00bb\n]+)\u00bb|\u201e([^\u201c\u201d\n]+)[\u201c\u201d]"
)
_EDGE = ".,;:!?\u2026 "
_SINGLE = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
)


def find_quotes(answer: str, *, words: int = 3) -> list[str]:
    """The quotations of at least `words` words; shorter ones are more often names or irony."""
    found = (next(filter(None, match.groups())) for match in _QUOTED.finditer(answer))
    return [quote.strip() for quote in found if len(quote.split()) >= words]


def verbatim_share(answer: str, passages: Sequence[str], *, words: int = 3) -> float | None:
    """The share of quotations that stand in a passage; None without any. Case and white space may differ.

    The verbatim test of Menick et al. (2022), "Teaching language models to support answers with verified
    quotes".
    """
    found = find_quotes(answer, words=words)
    if not found:
        return None
    texts = [_plain(passage) for passage in passages]
    return sum(any(_plain(quote) in text for text in texts) for quote in found) / len(found)


def _plain(text: str) -> str:
    return " ".join(text.translate(_SINGLE).lower().split()).strip(_EDGE)


@answer_metric(
    "verbatim quotes", family="quality", order=110, higher_is_better=True, answers=(FROM_PASSAGES,),
    source="GopherCite, Menick et al. 2022",
)  # fmt: skip
def verbatim_quotes(answer: AnswerInContext) -> float | None:
    """The share of quotations of three words or more that stand in a passage."""
    return verbatim_share(strip_markers(answer.reply.content), answer.passages)
