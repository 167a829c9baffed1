"""Measures what speaks for a claim in the sentences of its passages. Pure.

Lexical evidence (words, the rarer the weightier; figures; names) and, where vectors are given, that of the
embedding model: the cosine of whole sentences, and how well each token of the claim is matched by its best
token of the evidence (the maximum of ColBERT's late interaction, Khattab and Zaharia 2020, equation 3).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipelines.sentences import content_words, numbers

REACH = 3
"""Sentences before and after one that count as its surroundings."""
COVER = 3
"""Sentences that may support a claim together."""
CLOSE = 0.8
"""Cosine from which a token of the claim counts as found again."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)?")
_NAME = re.compile(r"\b[A-Z][\w\u2019'-]+")
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim against its evidence; shares are in [0, 1], `cosine` in [-1, 1]."""

    window: float
    """Largest share of the claim's content words within `REACH` sentences of one."""
    cover: float
    """Share of the content words that the best `COVER` sentences hold together."""
    figures_and_names: float
    """Share of the claim's numbers and capitalised words that the evidence holds; 1 where it has none."""
    figures_missing: float
    names_missing: float
    rarity_missing: float
    """Summed inverse sentence frequency of the content words that the evidence lacks."""
    trigrams: float
    """Share of the claim's word trigrams that a sentence holds."""
    words: float
    """log(1 + words of the claim)."""
    sentences: float
    """log(sentences of the evidence)."""
    cosine: float = 0.0
    """Mean of the three highest cosines of a sentence to the claim."""
    aligned: float = 0.0
    """Mean over the claim's tokens of the best cosine to a token of the evidence."""
    close: float = 0.0
    """Share of the claim's tokens whose best cosine is over `CLOSE`."""


FEATURES = tuple(field.name for field in fields(Evidence))
LEXICAL = tuple(name for name in FEATURES if name not in {"cosine", "aligned", "close"})


def gather_evidence(
    claim: str,
    sentences: Sequence[str],
    cosines: Floats | None = None,
    best: Floats | None = None,
) -> Evidence:
    """Gather the evidence for one claim.

    Args:
        claim: Without citation marks.
        sentences: Those of the claim's passages.
        cosines: Of the claim to each sentence, shape (n,).
        best: Cosine of each token of the claim to its best token of the evidence, shape (tokens,).

    Returns:
        The evidence; without `cosines` and `best` it is lexical alone.
    """
    words, figures, names = content_words(claim), numbers(claim), _names(claim)
    by_sentence = [content_words(sentence) for sentence in sentences] or [frozenset()]
    all_words = frozenset().union(*by_sentence)
    text = " ".join(sentences).lower()
    held = frozenset().union(*(numbers(sentence) for sentence in sentences))
    lost_names = {name for name in names if name not in text}
    marks = len(figures) + len(names)
    return Evidence(
        window=_window_share(words, by_sentence),
        cover=_cover_share(words, by_sentence),
        figures_and_names=1 - (len(figures - held) + len(lost_names)) / marks if marks else 1.0,
        figures_missing=len(figures - held),
        names_missing=len(lost_names),
        rarity_missing=_missing_rarity(words - all_words, by_sentence),
        trigrams=_trigram_share(claim, sentences),
        words=math.log1p(len(_tokens(claim))),
        sentences=math.log(max(1, len(sentences))),
        cosine=0.0 if cosines is None or not len(cosines) else float(np.sort(cosines)[-3:].mean()),
        aligned=0.0 if best is None or not len(best) else float(best.mean()),
        close=0.0 if best is None or not len(best) else float((best > CLOSE).mean()),
    )


def is_quoted(claim: str, sentences: Sequence[str]) -> bool:
    """Tell whether a sentence has the claim word for word; one content word alone is no quotation."""
    wanted = _tokens(claim)
    if len(content_words(claim)) < 2:
        return False
    return any(_contains(wanted, _tokens(sentence)) for sentence in sentences)


def share_of_words(claim: str, sentences: Sequence[str]) -> Floats:
    """Compute the share of the claim's content words that each sentence holds, shape (n,)."""
    words = content_words(claim)
    shares = [len(words & content_words(sentence)) / max(1, len(words)) for sentence in sentences]
    return np.array(shares, np.float32)


def _window_share(words: frozenset[str], by_sentence: Sequence[frozenset[str]]) -> float:
    if not words:
        return 0.0
    count = len(by_sentence)
    around = (frozenset().union(*by_sentence[max(0, at - REACH) : at + REACH + 1]) for at in range(count))
    return max(len(words & nearby) for nearby in around) / len(words)


def _cover_share(words: frozenset[str], by_sentence: Sequence[frozenset[str]]) -> float:
    """Compute the share of the words that `COVER` sentences hold, chosen greedily: within 1 - 1/e of the
    best."""
    rest = words
    for _ in range(COVER):
        rest -= max(by_sentence, key=lambda held: len(rest & held))
    return 1 - len(rest) / len(words) if words else 0.0


def _missing_rarity(missing: frozenset[str], by_sentence: Sequence[frozenset[str]]) -> float:
    held = Counter(word for sentence_words in by_sentence for word in sentence_words)
    return sum(math.log((len(by_sentence) + 1) / (held[word] + 0.5)) for word in missing)


def _trigram_share(claim: str, sentences: Sequence[str]) -> float:
    wanted = _trigrams(claim)
    if not wanted:
        return 0.0
    held = frozenset().union(*(_trigrams(sentence) for sentence in sentences))
    return len(wanted & held) / len(wanted)


def _trigrams(text: str) -> frozenset[tuple[str, ...]]:
    tokens = _tokens(text)
    return frozenset(zip(tokens, tokens[1:], tokens[2:], strict=False))


def _contains(wanted: Sequence[str], held: Sequence[str]) -> bool:
    """Whether the wanted words stand in the held ones in a row."""
    count = len(wanted)
    return any(held[at : at + count] == wanted for at in range(len(held) - count + 1))


@lru_cache(maxsize=2048)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(text))


def _names(claim: str) -> frozenset[str]:
    """Capitalised words, but for the one that begins the claim."""
    return frozenset(word.lower().strip("'\u2019-") for word in _NAME.findall(claim[1:]))
