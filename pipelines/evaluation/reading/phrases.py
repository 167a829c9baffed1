"""Whether an answer in words says its reference: the words in a row, asserted and as the only possibility.

Marks that change a word count ("C++" is not "C", "1.5" is not "15"); how a number, a date, a time, a price or
a range is written does not. Yes and no are read from the sentence where neither word is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pipelines.evaluation.reading.denials import is_denied, is_open
from pipelines.evaluation.reading.events import speaks_of_another_event, unify_verbs
from pipelines.evaluation.reading.forms import unify_words
from pipelines.evaluation.reading.polarity import read_yes_or_no, says_opposite
from pipelines.evaluation.reading.text import normalise
from pipelines.sentences import content_words, sentences

_TOKEN = re.compile(r"\d+(?:\.\d+)*[a-z]*|[^\W\d_][\w']*(?:\+\+|\+|#)?|\d\w*", re.UNICODE)
_NAMES_TOO = frozenset({"May", "March", "Will", "Mark"})
_MODAL = re.compile(r"\b(?:may|march|will|mark)\b")
_ARTICLES = frozenset({"a", "an", "the"})
_EMPTY = frozenset({"who", "which", "what", "where", "when", "how", "it", "that", "this"})
_LIST = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*")
_RELATIVES = (
    r"(?:brother|sister|father|mother|parent|son|daughter|child|wife|husband|widow|uncle|aunt|cousin|nephew|niece|friend|assistant|"
    r"successor|predecessor|rival|neighbour|colleague|pupil|student|teacher|partner|boss)s?"
)
_ANOTHER_AFTER = re.compile(rf"\s+(?:\w+\s+)?{_RELATIVES}\b", re.IGNORECASE)
_ANOTHER_BEFORE = re.compile(rf"\b{_RELATIVES}\s+of\s+(?:the\s+)?$", re.IGNORECASE)
_SUBJECT_DENIED = re.compile(
    r"^[\"\u201d')]*\s+(?:(?:did|does|do|has|had|was|were|is|are|could|would)\s+(?:not|never)\b(?!\s+only)|never\s+\w+|"
    r"had\s+(?:no\s+(?:part|hand|share|role)|nothing\s+to\s+do)\b|(?:was|were|has\s+been|have\s+been)\s+(?:since\s+)?(?:replaced|succeeded|superseded)\s+by\b)"
)
_NEGATIVE = re.compile(
    r"\b(?:not|no|never|without|nothing|lacks?|except|leave\s+out|missing|replac\w+|succe\w+|supersed\w+)\b|n't\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\?\W*$")
_BOUND = re.compile(r"\b(?:at\s+least|at\s+most|up\s+to|over|under|nearly|almost)\s+$")
_MORE = re.compile(
    r"\b(?:more|less|fewer|longer|shorter|earlier|later|older|younger)\s+than\s+(?:the\s+|an?\s+)?$"
)
_CLAUSE = re.compile(r"[,;:.](?!\d)|\b(?:and|but|while|whereas)\b")
_PART = re.compile(r"[,;:.](?!\d)|\b(?:but|while|whereas|after|before|until)\b")
_NOBODY = re.compile(r"\W*(?:nobody|no\s+one|none|neither)\b(?!\s+(?:but|except|other|else|of)\b)")
_RELATIVE = re.compile(r"\W*(?:[\w'-]+\s+){0,3}[\w'-]+,\s+(?:who|which)\s+[^.;,]*$")
_EARLIER = re.compile(r"\b(?:before|after|until|since|by)\s+(?:the\s+)?$", re.IGNORECASE)


def states_reference(answer: str, references: Sequence[str], question: str = "") -> float:
    """Return 1 where the answer asserts one of the references, else 0: the inclusion of RGB (Chen et al.
    2024) without what is denied ("not Paris") or left open ("Paris or Lyon").

    It forgives a sentence around the answer. Without a reference the right answer is the empty one.

    Args:
        answer: The answer's text.
        references: The accepted answers.
        question: What is asked: "it closed in May" does not say when it opened.
    """
    if not any(normalise(reference) or reference.strip() for reference in references):
        return float(not normalise(answer))
    if any(reference.strip() in _NAMES_TOO for reference in references) and answer != answer.lower():
        answer = _MODAL.sub("might", answer)
    text = unify_words(answer)
    known = [reference.strip() for reference in references if reference.strip()]
    denied = [
        place
        for reference in known
        for place in _find_phrase(text, unify_words(reference))
        if is_denied(text, *place)
    ]
    return float(any(_states(text, reference, question, denied) for reference in known))


def tokenise(text: str) -> list[str]:
    """Split unified text into words, without articles."""
    return [token for token in _TOKEN.findall(text) if token not in _ARTICLES]


def _states(text: str, reference: str, question: str, denied: Sequence[tuple[int, int]]) -> bool:
    if normalise(reference) in {"yes", "no"}:
        return read_yes_or_no(text, question) == normalise(reference)
    wanted = unify_words(reference)
    if any(
        _is_plain(text, place)
        and not _is_apart(text, *place, wanted)
        and not _is_of_another(text, *place, wanted, question)
        # a name is denied where the longer name that it is a part of is: "not Josef Lindqvist"
        and not any(start <= place[0] and place[1] <= end for start, end in denied)
        for place in _find_phrase(text, wanted)
    ):
        return True
    if _is_inverted_name(text, reference):
        return True
    parts = _LIST.split(wanted)
    return (
        len(parts) > 1
        and not any(character.isdigit() for character in wanted)
        and all(any(_is_plain(text, place) for place in _find_phrase(text, part)) for part in parts)
    )


def _is_plain(text: str, place: tuple[int, int]) -> bool:
    return not is_denied(text, *place) and not is_open(text, *place)


def _is_inverted_name(text: str, reference: str) -> bool:
    """Tell whether an answer is a name with the surname first: "Olsen, Marta"."""
    last, comma, first = text.strip(" .*").partition(",")
    return bool(comma) and reference.istitle() and tokenise(f"{first} {last}") == tokenise(reference.lower())


def _is_of_another(text: str, start: int, end: int, wanted: str, question: str) -> bool:
    """Tell whether what is said at a place is said of another.

    "X's brother", "X did not build it", "more than 12", "it closed in May" where the opening is asked for.
    """
    before, after = text[:start], text[end:]
    belongs = text[start:end].endswith("'s") or after.startswith("'s")
    is_number = wanted[:1].isdigit() and " through " not in wanted
    # a date belongs to the verb before it, a name may have several
    clauses = _CLAUSE if any(map(str.isdigit, wanted)) else _PART
    cuts = [0, *(match.end() for match in clauses.finditer(text)), len(text)]
    clause = next(text[one:other] for one, other in pairwise(cuts) if other > start)
    return any(
        (
            belongs and _ANOTHER_AFTER.match(after.removeprefix("'s")),
            _ANOTHER_BEFORE.search(before) and not re.search(_RELATIVES, question),
            is_number and (_MORE.search(before) or (wanted.isdigit() and _BOUND.search(before))),
            wanted == "nothing" and re.match(r"\s+but\b", after),
            _SUBJECT_DENIED.match(after) and not _NEGATIVE.search(question) and not _NEGATIVE.search(wanted),
            _NOBODY.match(text) and not _NOBODY.match(wanted),
            _RELATIVE.match(before)
            and not unify_verbs(content_words(before)) & unify_verbs(content_words(question)),
            says_opposite(clause, question),
            speaks_of_another_event(clause, question),
        )
    )


def _is_apart(text: str, start: int, end: int, wanted: str) -> bool:
    """Tell whether the words belong to something else: a question, "before 1922"."""
    sentence = next((part for part in sentences(text) if part.start <= start < part.end), None)
    if sentence is not None and _QUESTION.search(sentence.text):
        return len(sentences(text)) > 1 or wanted in _EMPTY
    return wanted[:1].isdigit() and _EARLIER.search(text[:start]) is not None


def _find_phrase(text: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Find the places where the wanted words stand in a row, whatever articles and marks are between."""
    words = tokenise(wanted)
    if all(word in _EMPTY for word in words):
        words = _TOKEN.findall(wanted)  # "The Who" is not any "who"
    held = list(_TOKEN.finditer(text))
    if not set(words) & {"a", "an", "the"}:
        held = [match for match in held if match.group() not in _ARTICLES]
    forms = [_strip_apostrophe(match.group()) for match in held]
    sought = [_strip_apostrophe(word) for word in words]
    if not sought:
        at = text.find(wanted)
        if wanted and at >= 0:
            yield at, at + len(wanted)
        return
    for at in range(len(forms) - len(sought) + 1):
        if forms[at : at + len(sought)] == sought:
            start, end = held[at].start(), held[at + len(sought) - 1].end()
            if not _is_joined(text, start, end):
                yield start, end


def _strip_apostrophe(word: str) -> str:
    return word.removesuffix("'s").replace("'", "")


def _is_joined(text: str, start: int, end: int) -> bool:
    """Tell whether a hyphen or a point makes the words a part of a longer one: "Objective-C", "2.1.5"."""
    return (
        re.search(r"[\w+#][-.]$", text[:start]) is not None
        or re.match(r"[-+#]\w|\.\d|#|\+(?<!\d\+)", text[end - 1 :][1:]) is not None
    )
