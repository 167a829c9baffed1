"""Which of its options an answer names in their own words, and does not deny. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.evaluation.reading.bounds import is_bound
from pipelines.evaluation.reading.denials import is_denied, is_open
from pipelines.evaluation.reading.number_words import write_digits
from pipelines.evaluation.reading.numerals import unify_numerals
from pipelines.evaluation.reading.polarity import read_truth, read_yes_or_no
from pipelines.evaluation.reading.text import normalise
from pipelines.sentences import content_words, sentences

_CLAUSE = re.compile(r"[,;:.]|\b(?:but|while|whereas|and)\b")
_DOES_NOT = re.compile(r"\s+(?:(?:do|does|did|can|is|are)\s+not|cannot)\b(?!\s+only)")
_NTH = re.compile(r"\b(\d+)(?:st|nd|rd)\b")
_THAN = re.compile(
    r"\b(?:than|followed\s+by|before|over|compared\s+(?:to|with)|unlike|among|of\s+the)\b", re.IGNORECASE
)
_NO_TRUTH = re.compile(
    r"\b(?:it\s+is|it's)\s+(?:not\s+true|false|wrong)\s+that\b|\bsome\s+say\b|\bit\s+seems\b", re.IGNORECASE
)


def find_by_words(  # noqa: PLR0911 - one rule after another
    plain: str, options: Sequence[str], question: str
) -> int | None:
    texts = [sentence.text for sentence in sentences(plain)]
    # "No, she does not": an option and a stop is an answer, whatever follows
    opening = re.split(r"[.,;:!\n]", plain, maxsplit=1)[0]
    words = [normalise_words(option) for option in options]
    if set(words) == {"true", "false"} and (truth := read_truth(plain, question)):
        return words.index(truth)
    if (
        {"yes", "no"} < set(words)
        and (said := read_yes_or_no(plain.lower(), question))
        and not _find_named(plain, options)
    ):
        return words.index(said)
    if normalise_words(opening) in words:
        return words.index(normalise_words(opening))
    denials = [index for index, option in enumerate(words) if " not " in f" {option} "]
    if len(options) == 2 and len(denials) == 1 and normalise_words(opening) in {"yes", "no"}:
        return denials[0] if normalise_words(opening) == "no" else 1 - denials[0]
    for part in (texts[-1] if texts else "", plain):
        named = find_asserted(part, options)
        if len(named) == 1:
            return named[0]
        named = _match_question(part, named, options, question)
        if len(named) == 1:
            return named[0]
        if _is_one_of_several(part, options):
            return None
        start = normalise_words(plain)
        leading = [
            index for index, option in enumerate(words) if option and f"{start} ".startswith(f"{option} ")
        ]
        if leading and not (set(leading) - set(find_asserted(plain, options))):
            return max(leading, key=lambda index: len(words[index]))
    return None


def find_asserted(text: str, options: Sequence[str]) -> list[int]:
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
    is_number = words[:1].isdigit()
    return bool(starts) and all(
        (is_number and is_bound(spoken, start, start + len(words)))
        or is_denied(spoken, start, start + len(words))
        or _DOES_NOT.match(spoken[start + len(words) :])
        or _NO_TRUTH.search(spoken[max(0, start - 40) : start])
        for start in starts
    )


def _spell_out(text: str) -> str:
    """Lower case, single spaces, contractions undone; marks and articles stay."""
    text = _NTH.sub(r"\1th", text)
    text = write_digits(
        unify_numerals(text.lower().replace("\u2019", "'").replace("n't", " not")),
        nobody=False,
        ordinals=True,
    )
    return " ".join(text.split())


def _find_named(text: str, options: Sequence[str]) -> list[int]:
    """Find the options whose words stand in a text; one that is part of another named one does not count."""
    spoken = f" {normalise_words(text)} "
    words = [normalise_words(option) for option in options]
    found = [
        index
        for index, option in enumerate(words)
        if option and re.search(rf" {re.escape(option)}s? ", spoken)
    ]
    cores = _find_cores(words)
    found += [index for index, core in cores.items() if index not in found and f" {core} " in spoken]
    return [
        index
        for index in found
        if not any(
            other != index and f" {words[index]} " in f" {words[other]} " and words[other] != words[index]
            for other in found
        )
    ]


def _find_cores(options: Sequence[str]) -> dict[int, str]:
    """The one word by which each option differs from the others: "first" of "the first pump"; none where
    there is more that differs."""
    split = [option.split() for option in options]
    if len({len(words) for words in split}) != 1 or len(split[0]) < 2:
        return {}
    places = [at for at in range(len(split[0])) if len({words[at] for words in split}) > 1]
    if len(places) != 1 or len({words[places[0]] for words in split}) < len(split):
        return {}
    return {index: words[places[0]] for index, words in enumerate(split)}


def normalise_words(text: str) -> str:
    """Normalise a text, and undo contractions: "doesn't" is "does not"."""
    return normalise(_spell_out(text))
