"""What is read of an answer, and of its passages: the sentences that claim something. Pure, by patterns.

Citation marks and addresses are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.citations import strip_markers
from pipelines.evaluation.reading.refusals import abstains
from pipelines.sentences import Span, content_words, sentences

FRAGMENT = 4
"""Words under which a sentence is read together with the question: "917 kg" alone says nothing."""

_LEAD = re.compile(r"^(?:[-*>#]+\s+|\d+[.)]\s+)+")
_MARKDOWN = re.compile(r"\*\*|__|`")
_LABEL = re.compile(r"^(?:the\s+)?(?:final\s+)?answer\s*(?::|is\s*:)\s*", re.IGNORECASE)
_THINKING = re.compile(r"</?think(?:ing)?>", re.IGNORECASE)
_COURTESY = re.compile(
    r"^(?:hello|hi|hey|greetings|good\s+(?:morning|afternoon|evening)|thank(?:s|\s+you)|you(?:'re|\s+are)\s+"
    r"welcome|sure|certainly|of\s+course|great\s+question|sorry|i\s+(?:hope|apologi[sz]e)|let\s+me\s+know"
    r"|(?:please\s+)?feel\s+free|have\s+a\s+(?:nice|good|great)|happy\s+to\s+help|is\s+there\s+anything)\b",
    re.IGNORECASE,
)
_PLAN = re.compile(
    r"^(?:(?:okay|ok|alright|hmm+|well|wait|now|so|first|next|then|but|and|also|maybe|actually)\b[\s,.]*)*"
    r"(?:$|let(?:'s|\s+me|\s+us)\b[^:=]*$"
    r"|(?:i|we)(?:'ll|\s+will|\s+(?:should|must|can|could|might)|\s+(?:need|have|want)\s+to"
    r"|(?:'m|\s+am|'re|\s+are)\s+(?:going|asked|trying)(?:\s+to)?)\s+(?:\w+ly\s+)?"
    r"(?:analy[sz]e|answer|begin|break|calculate|check|compare|compute|consider|determine|examine|extract"
    r"|figure|find|focus|go|identify|look|make|provide|read|recall|re-?read|see|start|state|summari[sz]e"
    r"|think|try|use|verify|write)\b(?!\s+that)"
    r"|(?:the|this)\s+(?:user|question)(?:'s\s+question)?\s+(?:asks?|wants?|needs?|is\s+asking"
    r"|is\s+(?:about|how|wh\w+))\b"
    r"|(?:they|he|she)\s+(?:want|ask)s?\b)",
    re.IGNORECASE,
)
_SOURCE = (
    r"(?:the\s+|these\s+|this\s+|your\s+)?(?:provided\s+|given\s+|above\s+|retrieved\s+|following\s+)?(?:passages?|contexts?"
    r"|documents?|sources?|texts?|excerpts?|information)(?:\s*(?:numbers?\s+)?\[?\d+\]?)?(?:\s+(?:provided|given|above))?"
)
_ATTRIBUTION = re.compile(
    rf"^(?:(?:according\s+to|based\s+on|as\s+(?:stated|mentioned|described|noted|shown|given)\s+in|from|per)\s+{_SOURCE},?\s+"
    rf"|{_SOURCE}\s+(?:states?|says?|mentions?|notes?|explains?|describes?|shows?|indicates?|suggests?|reports?)\s+that\s+)",
    re.IGNORECASE,
)
_OF_SOURCES = re.compile(
    r"\b(?:i|we|passages?|documents?|contexts?|sources?|texts?|(?:no|any|enough|sufficient|insufficient)\s+"
    r"(?:\w+\s+)?information|questions?|answer(?:s|ed|able)?|unanswerable|mention(?:s|ed)?|stated?|states"
    r"|specif(?:y|ies|ied)|provided?|provides|given|available|determined?|unknown|undetermined|known)\b",
    re.IGNORECASE,
)
_NUMBERING = re.compile(r"^\(?\d{1,3}[.)]$")

_ADDRESS = re.compile(r"(?:\[\d+\]\s*)?(?:https?://|www\.)\S+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed, without markers; `question` where it is too short to be read without it."""

    text: str
    question: str = ""

    @property
    def whole(self) -> str:
        """The claim after its question, where it has one."""
        return f"{self.question} {self.text}".lstrip()


def read_claim(text: str, question: str = "") -> Claim:
    """Read a claim with its question, which is kept where the claim is a fragment.

    Marks are left out, and that it is the passages that say it.
    """
    bare = _ATTRIBUTION.sub("", strip_marks(text))
    return Claim(bare, question if len(bare.split()) < FRAGMENT else "")


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence where it stands, and what it claims; None where it claims nothing."""

    span: Span
    claim: Claim | None


def find_claims(text: str, question: str = "") -> list[AnswerSentence]:
    """Find what each sentence of a text claims.

    Not claims are questions, courtesies, plans ("let me look"), refusals, and what has no word that means
    anything. A sentence is a refusal where it declines by the patterns of `abstains` and speaks of the
    sources, of what is known, or in the first person: "the passages do not say" is one, "sea ice does not
    contain salt" is a claim. A fragment is read together with the question.
    """
    return [AnswerSentence(span, _find_claim(span.text, question)) for span in _split(text)]


def _split(text: str) -> list[Span]:
    """Split a text as `sentences` does, but the number of a list item stays with it; a tag of thinking is no
    word."""
    untagged = _THINKING.sub(lambda match: " " * len(match.group()), text)  # every place is kept
    spans: list[Span] = []
    for span in sentences(untagged):
        if spans and _NUMBERING.match(spans[-1].text):
            start = spans.pop().start
            spans.append(Span(start, span.end, untagged[start : span.end]))
        else:
            spans.append(span)
    return spans


def _find_claim(sentence: str, question: str) -> Claim | None:
    bare = _MARKDOWN.sub("", " ".join(strip_markers(sentence.replace("\u2019", "'")).split()))
    bare = _LABEL.sub("", _LEAD.sub("", bare)).strip()
    words = content_words(bare)
    if not words or bare.endswith("?") or _COURTESY.match(bare) or _PLAN.match(bare):
        return None
    if abstains(bare) and _OF_SOURCES.search(bare):
        return None
    return read_claim(bare, question)


@dataclass(frozen=True, slots=True)
class PassageSentence:
    """A sentence of the passage with the number `passage`; `text` is the span's, without addresses."""

    passage: int
    span: Span
    text: str


def strip_marks(claim: str) -> str:
    """Return a claim without its citation marks: their numbers are no figures of it."""
    return " ".join(strip_markers(claim).split())


def read_sentences(passages: Sequence[str]) -> list[PassageSentence]:
    """Read the sentences of all passages, without those that are an address and nothing else: what stands
    there is not known."""
    passage_sentences = [
        PassageSentence(number, span, _ADDRESS.sub(" ", span.text).strip())
        for number, passage in enumerate(passages)
        for span in sentences(passage)
    ]
    return [sentence for sentence in passage_sentences if _WORD.search(sentence.text)]


def has_only_addresses(passages: Sequence[str]) -> bool:
    """Tell whether the passages hold addresses and nothing that can be read."""
    return any(_ADDRESS.search(passage) for passage in passages) and not read_sentences(passages)
