"""Which of its options an answer chose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from pipelines.evaluation.reading.denials import is_denied
from pipelines.evaluation.reading.option_words import find_asserted, find_by_words, normalise_words
from pipelines.evaluation.reading.text import (
    find_announced_answer,
    find_boxed_answer,
    read_without_thinking,
)
from pipelines.sentences import sentences

_LETTER = re.compile(
    r"\(([A-Za-z])\)"
    r"|(?:^|(?<=[\s\"\u201c'({\[:]))(?:(?:option|choice|answer|letter)\s+)?([A-Z])(?=[.):,;!\"\u201d'}\]]|\s*$|\s+(?:because|since|as|is|are|"
    r"was|or|and|but|not|nor|weigh\w*|for|which|that|by|to|yes|no|remains|fits|\(|\u3067|\u306f|\u662f))"
    r"|(?<=[\u662f\u306f\u4e3a:\uff1a])([A-Z])(?![A-Za-z])"
)
_NAMED_LETTER = re.compile(r"\b(?:option|choice)\s+\(?([A-Za-z])\b\)?", re.IGNORECASE)
_BARE = re.compile(r"^\W*(?:(?:option|choice|answer)\s+)?\(?([A-Za-z])\)?\W*$", re.IGNORECASE)
_LEADING = re.compile(
    r"^\W*(?:option\s+|choice\s+)?(?:\(([A-Za-z])\)|([A-Za-z])\)|([A-Z])[.:,](?:\s|$)|([A-Z])(?=\s+(?:because|since|as|or)\b))"
)
_ENDING = re.compile(
    r"\b(?:is|it's|be|choose|pick|select|with|so|but|therefore|thus)\s+\W*(?:option\s+|choice\s+)?([A-Z])\W*$"
)
_SO = re.compile(
    r"\b(?:so|thus|therefore|hence|leaving|leaves|(?:i|we)(?:'d|'ll|\s+would|\s+will)?\s+(?:choose|pick|select|say|take|vote\s+for|go\s+(?:with|for)|opt\s+for))"
    r"[\s,:]+(?:it\s+(?:is|must\s+be|has\s+to\s+be)\s+|the\s+answer\s+is\s+)?(?:only\s+)?(?:option\s+|choice\s+)?\(?([A-Z])\)?[\s.!]*$",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"^\W*(?:it\s+is\s+|it's\s+|i\s+(?:choose|pick)\s+)?(?:the\s+)?(first|second|third|fourth|fifth|sixth|last|former|latter)"
    r"(?:\s+(?:option|one|choice|answer|of\s+(?:these|them|the\s+\w+)))?\W*$",
    re.IGNORECASE,
)
_ORDER = ("first", "second", "third", "fourth", "fifth", "sixth")
_AFTER_LETTER = re.compile(r"\W*(?:option\s+|choice\s+)?\(?[A-Za-z]\)?\s*[.:)-]?\s+(.*)$", re.MULTILINE)
_REASON = re.compile(
    r"\b(?:because|since|whereas|while|although|though|given\s+that|due\s+to|as\s+(?=the\b|it\b|\(?[A-Z]\b))|\s[-\u2013\u2014]\s",
)
_MARKDOWN = re.compile(r"\*\*|__|`|\\text\b")
_EXCLUDED = re.compile(
    r"\b(?:exclud\w*|eliminat\w*|rul\w+\s+out|not|neither|nor|unlike|besides|except|all\s+but|anything\s+but)\s+\(?[A-Z]\)?(?:\s*(?:,\s*(?:and|or|nor)?|and|or|nor)\s*\(?[A-Z]\b\)?)*"
    r"|\(?\b[A-Z]\)?(?:\s*(?:,|and|or)\s*\(?[A-Z]\b\)?)*\s+(?:is|are)\s+(?:not|too|wrong|incorrect|false|out|also\s+wrong)\b(?!\s+only)"
)
_BOTH = re.compile(r"\bboth\b|\ball\s+of\b|\beither\b", re.IGNORECASE)


def find_choice(answer: str, options: Sequence[str], question: str = "") -> int | None:
    """Find the index of the option that the answer settles on; None where it settles on none, or on several.

    In this order: the announced answer ("the answer is B", a boxed one), a letter that stands alone or leads
    a line from the end, the last bracketed letter, then the options' own words: at the answer's start, in its
    last sentence, anywhere. What is denied ("not A but B") or stands in a reason ("B, because A is lighter")
    is not chosen. The letter patterns follow the LM Evaluation Harness and the extraction of Wang et al.
    (2024), MMLU-Pro, section 4.
    """
    plain = _MARKDOWN.sub("", read_without_thinking(answer)).strip()
    announced = find_announced_answer(answer)
    if announced is not None:
        announced = _MARKDOWN.sub("", announced).strip("{} ")
        is_boxed = find_boxed_answer(plain) is not None
        letters = _find_letters(_cut_reason(announced), options)
        if len(letters) > 1:
            return None
        if letters or is_boxed or _BARE.match(announced):
            bare = _BARE.match(announced)
            if letters:
                return letters[0] if _agrees_with_words(announced, letters[0], options) else None
            if bare is not None and (index := _index_of(bare.group(1), options)) is not None:
                return index
        named = find_asserted(_cut_reason(announced), options)
        if len(named) == 1:
            return named[0]
    return _find_in_lines(plain, options, question)


def _find_in_lines(  # noqa: PLR0911 - one rule after another
    plain: str, options: Sequence[str], question: str
) -> int | None:
    for line in reversed(plain.splitlines()):
        head = _cut_reason(line)
        chosen = _SO.search(line)
        if chosen is not None and (index := _index_of(chosen.group(1), options)) is not None:
            return index
        bare = _BARE.match(line)
        if bare is not None and (index := _index_of(bare.group(1), options)) is not None:
            return index
        leading = _LEADING.match(line)
        if leading is not None or _ENDING.search(head):
            letters = _find_letters(head, options)
            if _BOTH.search(head) or (
                len(letters) > 1 and re.search(r"\b[A-Z]\)?\s+(?:or|and)\s+\(?[A-Z]\b", head)
            ):
                return None
            # "(A) is light. So it is (D).": a line that begins with its reasons ends with its answer
            ending = _ENDING.search(head)
            if ending is not None and (index := _index_of(ending.group(1), options)) in letters:
                return index
            if letters:
                return (
                    letters[0]
                    if (leading is not None and len(sentences(head)) == 1) or _is_verdict(head)
                    else letters[-1]
                )
    if _BOTH.search(plain) and len(_find_letters(plain, options)) > 1:
        return None
    last = _last_letters(plain, options)
    if last is not None:
        return last if last >= 0 else None
    ordinal = _ORDINAL.match(plain)
    if ordinal is not None and not _is_word_of_any(ordinal.group(1), options):
        return _index_of_ordinal(ordinal.group(1).lower(), options)
    return find_by_words(plain, options, question)


def _is_word_of_any(ordinal: str, options: Sequence[str]) -> bool:
    """Tell whether an option says that word itself: "the second" is then that option, wherever it stands."""
    return any(re.search(rf"\b{ordinal}\b", option, re.IGNORECASE) for option in options)


def _index_of_ordinal(word: str, options: Sequence[str]) -> int | None:
    if word in {"former", "latter"}:
        return ("former", "latter").index(word) if len(options) == 2 else None
    index = len(options) - 1 if word == "last" else _ORDER.index(word)
    return index if index < len(options) else None


def _is_verdict(head: str) -> bool:
    """Tell whether a line says its letter first and speaks of others after it: "B. A is lighter"."""
    return re.match(r"^\W*(?:option\s+|choice\s+)?\(?[A-Za-z]\)?[.:,)]", head) is not None and (
        re.match(r"^\W*\(?[A-Z]\)?\s+\w+\s", head) is None
    )


def _agrees_with_words(announced: str, index: int, options: Sequence[str]) -> bool:
    """Tell whether a letter comes without the words of one other option: "(A) the text of B" is no choice."""
    after = _AFTER_LETTER.match(announced)
    if after is None:
        return True
    words = normalise_words(after.group(1))
    named = [at for at, option in enumerate(options) if words and words == normalise_words(option)]
    return not named or index in named


def _last_letters(plain: str, options: Sequence[str]) -> int | None:
    """The letter of the last sentence that has one, cut before its reason; -1 where it has several that are
    all possible, None where there are no letters."""
    for sentence in reversed(sentences(plain)):
        head = _cut_reason(sentence.text)
        letters = _find_letters(head, options)
        if not letters:
            continue
        if len(letters) > 1 and re.search(r"\b[A-Z]\)?\s+(?:or|and)\s+\(?[A-Z]\b", head):
            return -1
        return letters[-1]
    return None


def _cut_reason(text: str) -> str:
    """What stands before a reason, as long as it says something."""
    match = _REASON.search(text)
    return text[: match.start()] if match is not None and text[: match.start()].strip(" ,(") else text


def _find_letters(text: str, options: Sequence[str]) -> list[int]:
    """The options whose letters a text has and does not deny, each once, in order."""
    found: list[int] = []
    text = _EXCLUDED.sub(lambda match: " " * len(match.group()), text)
    for pattern in (_LETTER, _NAMED_LETTER):
        for match in pattern.finditer(text):
            index = _index_of(next(filter(None, match.groups())), options)
            if index is None or index in found or is_denied(text, match.start(), match.end()):
                continue
            found.append(index)
    return found


def choice_matches(answer: str, options: Sequence[str], reference: int, question: str = "") -> float:
    """Return 1 where the answer chose the option of that index, else 0."""
    return float(find_choice(answer, options, question) == reference)


def _index_of(letter: str, options: Sequence[str]) -> int | None:
    index = ascii_uppercase.find(letter.upper())
    return index if 0 <= index < len(options) else None
