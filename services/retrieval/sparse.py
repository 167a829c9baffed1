"""BM25 weights of a text, by term: the sparse side of a passage, and of a query.

The weight of a term in a passage is BM25's (Robertson and Zaragoza, 2009) without its IDF,

    tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / average))

and the store multiplies by the IDF of its own passages when it searches. So a passage's weights never
change while others come and go; the price is that `average` is a constant and not the collection's.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter

import Stemmer

from services.core.text import normalise
from services.retrieval.identifiers import find_identifiers, read_terms, split_key

K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 100
"""Terms of a usual passage, stop words not counted: about 180 English words."""

MAX_TERM_LENGTH = 64
"""Characters of a term that count: a longer one is data, not a word."""

_FUNCTION_WORDS = (
    "a an the this that these those and or but nor so if then than as of at by for from in into on onto "
    "to with without within about over under up down out off is are was were be been being am do does did "
    "doing have has had having can could will would shall should may might must it its he she they them "
    "his her their we our you your i me my us who whom whose which what when where why how there here not "
    "no"
)
STOP_WORDS = frozenset(_FUNCTION_WORDS.split())

_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e"
_WORD = re.compile(rf"(?:[^\W_]|[{_MARKS}])+(?:'(?:[^\W_])+)?")
_ACCENTS = re.compile("[\u0300-\u036f]")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]+")
"""Scripts that put no space between words (Thai, Japanese, Chinese): their pairs of characters are terms."""


def split_terms(text: str) -> list[str]:
    """Split a text into its terms, in order: folded to lower case without accents, no stop words, stemmed.

    Stems are Snowball's for English; words in other scripts pass as they are.
    """
    plain = text.lower() if text.isascii() else _fold(text)
    found = _WORD.findall(plain)
    if not text.isascii() and _UNSPACED.search(plain):
        found = [part for word in found for part in _split_unspaced(word)]
    words = [word for word in found if word not in STOP_WORDS]
    stemmer = Stemmer.Stemmer("english")
    return [str(stem)[:MAX_TERM_LENGTH] for stem in stemmer.stemWords(words) if stem]


def _fold(text: str) -> str:
    """Take case, accents and other forms of the same letter out of a text."""
    folded = unicodedata.normalize("NFKD", normalise(text)).casefold().replace("\u2019", "'")
    return unicodedata.normalize("NFC", _ACCENTS.sub("", folded))


def _split_unspaced(word: str) -> list[str]:
    """Return a word as it is, or the pairs of its characters where its script puts no space between words."""
    if not _UNSPACED.search(word):
        return [word]
    parts: list[str] = []
    at = 0
    for run in _UNSPACED.finditer(word):
        parts.append(word[at : run.start()])
        found = run.group()
        parts += [found[i : i + 2] for i in range(max(1, len(found) - 1))]
        at = run.end()
    parts.append(word[at:])
    return [part for part in parts if part]


def term_id(term: str) -> int:
    """Give a term its dimension, an unsigned 32-bit number: the same on every machine and in every version.

    Of 100,000 different terms about one pair shares a number.
    """
    return zlib.crc32(term.encode())


def weigh_passage(text: str) -> dict[int, float]:
    """Weigh each term of a passage by BM25, without the IDF; its codes are terms beside their parts."""
    counts = Counter(map(term_id, split_terms(text)))
    length = 1 - B + B * counts.total() / AVERAGE_LENGTH
    counts.update(map(term_id, read_terms(text)))
    return {term: tf * (K1 + 1) / (tf + K1 * length) for term, tf in counts.items()}


def weigh_query(text: str) -> dict[int, float]:
    """Weigh each term of a query by how often it is said, which is BM25 with a large k3.

    An identifier is looked for as it is written, by its key, and by the parts that passages of an index
    without keys have of it. Empty where there are only stop words.
    """
    terms = split_terms(text)
    known = set(terms)
    for identifier in find_identifiers(text):
        extra = [identifier.key, *split_key(identifier.key), *read_terms(identifier.text)]
        terms += [term for term in dict.fromkeys(extra) if term not in known]
        known.update(extra)
    return {term: float(times) for term, times in Counter(map(term_id, terms)).items()}
