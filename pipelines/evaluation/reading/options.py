"""Which of its options an answer chose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from pipelines.evaluation.reading.text import (
    find_announced_answer,
    find_boxed_answer,
    normalise,
    strip_reasoning,
)
from pipelines.sentences import sentences

_BRACKETED = re.compile(r"\(([A-Z])\)")
_BARE = re.compile(r"^\W*(?:option\s+|choice\s+)?\(?([A-Z])\)?(?:[.):,\s]|$)", re.IGNORECASE)
_LEADING = re.compile(r"^\W*(?:option\s+|choice\s+)?(?:\(([A-Z])\)|([A-Z])\)|([A-Z])[.:](?:\s|$))")
_ENDING = re.compile(r"\b(?:is|it's|be|choose|pick|select|with)\s+(?:option\s+|choice\s+)?([A-Z])[.!]?$")
_ALONE = re.compile(r"^\W*([A-Za-z])\W*$")
_MARKDOWN = re.compile(r"\*\*|__|`|\\text\b")


def find_choice(answer: str, options: Sequence[str]) -> int | None:
    """Find the index of the option that the answer settles on; None where it settles on none, or on several.

    In this order: the announced answer ("the answer is B", a boxed one), a letter that stands alone or leads
    a line from the end, the last bracketed letter, then the options' own words: at the answer's start, in its
    last sentence, anywhere. The letter patterns follow the LM Evaluation Harness and the extraction of
    Wang et al. (2024), MMLU-Pro, section 4.
    """
    plain = _MARKDOWN.sub("", strip_reasoning(answer)).strip()
    announced = find_announced_answer(answer)
    if announced is not None:
        announced = _MARKDOWN.sub("", announced).strip("{} ")
        if len(set(_BRACKETED.findall(announced))) > 1:
            return None
        found = _find_in_short(announced, options, is_boxed=find_boxed_answer(plain) is not None)
        if found is not None:
            return found
    for line in reversed(plain.splitlines()):
        match = _ALONE.match(line) or _LEADING.match(line) or _ENDING.search(line.rstrip())
        if (
            match is not None
            and (found := _index_of(next(filter(None, match.groups())), options)) is not None
        ):
            return found
    letters = [
        found for letter in _BRACKETED.findall(plain) if (found := _index_of(letter, options)) is not None
    ]
    if letters:
        return letters[-1]
    return _find_by_words(plain, options)


def choice_matches(answer: str, options: Sequence[str], reference: int) -> float:
    """Return 1 where the answer chose the option of that index, else 0."""
    return float(find_choice(answer, options) == reference)


def _find_in_short(short: str, options: Sequence[str], *, is_boxed: bool) -> int | None:
    bracketed = _BRACKETED.search(short)
    if bracketed is not None:
        return _index_of(bracketed.group(1), options)
    named = _find_named(short, options)
    bare = _BARE.match(short)
    # "the answer is a pound of air": there "a" is an article, no letter; alone, capital or boxed it is one
    if (
        bare
        and (is_boxed or bare.group(1).isupper() or _ALONE.match(short))
        and not (named and len(short) > 20)
    ):
        return _index_of(bare.group(1), options)
    return named[0] if len(named) == 1 else None


def _find_by_words(plain: str, options: Sequence[str]) -> int | None:
    texts = [sentence.text for sentence in sentences(plain)]
    # "No, she does not": an option and a stop is an answer, whatever follows
    opening = re.split(r"[.,;:!\n]", plain, maxsplit=1)[0]
    words = [_normalise_words(option) for option in options]
    if _normalise_words(opening) in words:
        return words.index(_normalise_words(opening))
    denials = [index for index, option in enumerate(words) if " not " in f" {option} "]
    if len(options) == 2 and len(denials) == 1 and _normalise_words(opening) in {"yes", "no"}:
        return denials[0] if _normalise_words(opening) == "no" else 1 - denials[0]
    last = _find_named(texts[-1], options) if texts else []
    if len(last) == 1:
        return last[0]
    start = _normalise_words(plain)
    leading = [index for index, option in enumerate(words) if option and f"{start} ".startswith(f"{option} ")]
    if leading:
        return max(leading, key=lambda index: len(words[index]))
    anywhere = _find_named(plain, options)
    return anywhere[0] if len(anywhere) == 1 else None


def _find_named(text: str, options: Sequence[str]) -> list[int]:
    """Find the options whose words stand in a text; one that is part of another named one does not count."""
    spoken = f" {_normalise_words(text)} "
    words = [_normalise_words(option) for option in options]
    found = [index for index, option in enumerate(words) if option and f" {option} " in spoken]
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
