"""Which of its options an answer chose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from pipelines.evaluation.reading.denials import is_denied, is_open
from pipelines.evaluation.reading.text import (
    find_announced_answer,
    find_boxed_answer,
    normalise,
    read_without_thinking,
)
from pipelines.sentences import content_words, sentences

_LETTER = re.compile(
    r"\(([A-Za-z])\)"
    r"|(?:^|(?<=[\s\"\u201c'({\[:]))(?:(?:option|choice|answer|letter)\s+)?([A-Z])(?=[.):,;!\"\u201d'}\]]|\s*$|\s+(?:because|since|as|is|are|"
    r"was|or|and|but|not|nor|weigh\w*|for|which|that|by|to|yes|no|remains|fits|\u3067|\u306f|\u662f))"
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
_AFTER_LETTER = re.compile(r"\W*(?:option\s+|choice\s+)?\(?[A-Za-z]\)?\s*[.:)-]?\s+(.*)$", re.MULTILINE)
_REASON = re.compile(
    r"\b(?:because|since|whereas|while|although|though|given\s+that|due\s+to|as\s+(?=the\b|it\b|\(?[A-Z]\b))|\s[-\u2013\u2014]\s",
)
_MARKDOWN = re.compile(r"\*\*|__|`|\\text\b")
_CLAUSE = re.compile(r"[,;:.]|\b(?:but|while|whereas|and)\b")
_EXCLUDED = re.compile(
    r"\b(?:exclud\w*|eliminat\w*|rul\w+\s+out|not|neither|nor|unlike|besides|except|all\s+but|anything\s+but)\s+\(?[A-Z]\)?(?:\s*(?:,\s*(?:and|or|nor)?|and|or|nor)\s*\(?[A-Z]\b\)?)*"
    r"|\(?\b[A-Z]\)?(?:\s*(?:,|and|or)\s*\(?[A-Z]\b\)?)*\s+(?:is|are)\s+(?:not|too|wrong|incorrect|false|out|also\s+wrong)\b(?!\s+only)"
)
_DOES_NOT = re.compile(r"\s+(?:(?:do|does|did|can|is|are)\s+not|cannot)\b(?!\s+only)")
_BOTH = re.compile(r"\bboth\b|\ball\s+of\b|\beither\b", re.IGNORECASE)
_THAN = re.compile(
    r"\b(?:than|followed\s+by|before|over|compared\s+(?:to|with)|unlike|among|of\s+the)\b", re.IGNORECASE
)
_NO_TRUTH = re.compile(
    r"\b(?:it\s+is|it's)\s+(?:not\s+true|false|wrong)\s+that\b|\bsome\s+say\b|\bit\s+seems\b", re.IGNORECASE
)


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
        named = _find_asserted(_cut_reason(announced), options)
        if len(named) == 1:
            return named[0]
    return _find_in_lines(plain, options, question)


def _find_in_lines(  # noqa: PLR0911 - one rule after another
    plain: str, options: Sequence[str], question: str
) -> int | None:
    for line in reversed(plain.splitlines()):
        head = _cut_reason(line)
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
    return _find_by_words(plain, options, question)


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
    words = _normalise_words(after.group(1))
    named = [at for at, option in enumerate(options) if words and words == _normalise_words(option)]
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


def _find_by_words(  # noqa: PLR0911 - one rule after another
    plain: str, options: Sequence[str], question: str
) -> int | None:
    texts = [sentence.text for sentence in sentences(plain)]
    # "No, she does not": an option and a stop is an answer, whatever follows
    opening = re.split(r"[.,;:!\n]", plain, maxsplit=1)[0]
    words = [_normalise_words(option) for option in options]
    if _normalise_words(opening) in words:
        return words.index(_normalise_words(opening))
    denials = [index for index, option in enumerate(words) if " not " in f" {option} "]
    if len(options) == 2 and len(denials) == 1 and _normalise_words(opening) in {"yes", "no"}:
        return denials[0] if _normalise_words(opening) == "no" else 1 - denials[0]
    for part in (texts[-1] if texts else "", plain):
        named = _find_asserted(part, options)
        if len(named) == 1:
            return named[0]
        named = _match_question(part, named, options, question)
        if len(named) == 1:
            return named[0]
        if _is_one_of_several(part, options):
            return None
        start = _normalise_words(plain)
        leading = [
            index for index, option in enumerate(words) if option and f"{start} ".startswith(f"{option} ")
        ]
        if leading and not (set(leading) - set(_find_asserted(plain, options))):
            return max(leading, key=lambda index: len(words[index]))
    return None


def _find_asserted(text: str, options: Sequence[str]) -> list[int]:
    """The options that a text names and does not deny; of a comparison the one that comes first."""
    named = _find_named(text, options)
    spoken = _spell_out(text)
    kept = [index for index in named if not _is_option_denied(spoken, options[index])]
    if len(kept) > 1:
        places = {index: spoken.find(_spell_out(options[index])) for index in kept}
        first, *others = sorted(kept, key=places.__getitem__)
        between = spoken[places[first] : places[others[0]]]
        if _THAN.search(between):
            return [first]
        among = re.match(r"\W*(?:among|of|both|between)\b.*,\s*(.*)$", spoken)
        if among is not None:
            return [index for index in kept if _spell_out(options[index]) in among.group(1)]
    return kept


def _match_question(text: str, named: Sequence[int], options: Sequence[str], question: str) -> list[int]:
    """The named options whose clause has most of the question's words."""
    wanted = content_words(question)
    spoken = _spell_out(text)
    shared: dict[int, int] = {}
    for index in named:
        clauses = [clause for clause in _CLAUSE.split(spoken) if _spell_out(options[index]) in clause]
        shared[index] = max((len(content_words(clause) & wanted) for clause in clauses), default=0)
    return [index for index in named if shared[index] == max(shared.values())]


def _is_one_of_several(text: str, options: Sequence[str]) -> bool:
    spoken = _spell_out(text)
    return any(
        (at := spoken.find(words)) >= 0 and is_open(spoken, at, at + len(words))
        for words in map(_spell_out, options)
    )


def _is_option_denied(spoken: str, option: str) -> bool:
    """Tell whether every mention of an option is denied, or said by others."""
    words = _spell_out(option)
    starts = [match.start() for match in re.finditer(re.escape(words), spoken)] if words else []
    return bool(starts) and all(
        is_denied(spoken, start, start + len(words))
        or _DOES_NOT.match(spoken[start + len(words) :])
        or _NO_TRUTH.search(spoken[max(0, start - 40) : start])
        for start in starts
    )


def _spell_out(text: str) -> str:
    """Lower case, single spaces, contractions undone; marks and articles stay."""
    return " ".join(text.lower().replace("\u2019", "'").replace("n't", " not").split())


def _find_named(text: str, options: Sequence[str]) -> list[int]:
    """Find the options whose words stand in a text; one that is part of another named one does not count."""
    spoken = f" {_normalise_words(text)} "
    words = [_normalise_words(option) for option in options]
    found = [
        index
        for index, option in enumerate(words)
        if option and re.search(rf" {re.escape(option)}s? ", spoken)
    ]
    return [
        index
        for index in found
        if not any(
            other != index and f" {words[index]} " in f" {words[other]} " and words[other] != words[index]
            for other in found
        )
    ]


def _normalise_words(text: str) -> str:
    """Normalise a text, and undo contractions: "doesn't" is "does not"."""
    return normalise(text.replace("\u2019", "'").replace("n't", " not"))


def _index_of(letter: str, options: Sequence[str]) -> int | None:
    index = ascii_uppercase.find(letter.upper())
    return index if 0 <= index < len(options) else None
