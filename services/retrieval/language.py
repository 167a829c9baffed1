"""The language of a question: by its script, by a few English words, else by a small model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from services.core.text import normalise

SURE = 0.25
"""Probability from which a language is believed; of 725 English questions none was believed another one."""

POSSIBLE = 0.15
"""Probability from which a question may be in the language of the passages."""

_ENGLISH = frozenset(
    "the what which how who why when where does did and are with should would from there their".split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_]+")
_CODE = re.compile(r"(?<!\S)\S*\d\S*")
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("el", re.compile("[\u0370-\u03ff]{3}")),
    ("he", re.compile("[\u0590-\u05ff]")),
)


def detect_language(text: str) -> str | None:
    """Tell the language as an ISO 639-1 code; None where nothing tells, as of a bare identifier."""
    plain = normalise(text)
    words = _read_words(plain)
    if (language := _tell_quickly(plain, words)) is not None or sum(map(len, words)) < 4:
        return language
    language, probability = _load_identifier().classify(" ".join(words))
    return str(language) if probability >= SURE else None


def may_be(text: str, language: str) -> bool:
    """Whether a short text may be in a language, though another one that is close to it seems likelier."""
    plain = normalise(text)
    words = _read_words(plain)
    if (told := _tell_quickly(plain, words)) is not None:
        return told == language
    return any(
        name == language and probability >= POSSIBLE
        for name, probability in _load_identifier().rank(" ".join(words))
    )


def must_load(text: str, languages: Iterable[str]) -> bool:
    """Whether the model is needed, and not there yet: then `load` takes the time of some hundred searches."""
    if is_loaded():
        return False
    plain = normalise(text)
    known = set(languages)
    return bool(known) and _tell_quickly(plain, _read_words(plain)) not in known


def is_loaded() -> bool:
    """Whether the model is there, so that nothing has to wait for it."""
    return _load_identifier.cache_info().currsize > 0


def load() -> None:
    """Load the model, which a thread may do."""
    _load_identifier()


def _read_words(plain: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_CODE.sub(" ", plain))]


def _tell_quickly(plain: str, words: Sequence[str]) -> str | None:
    """Tell what needs no model: a script that is one language's, or a few English words."""
    for language, script in _SCRIPTS:
        if script.search(plain):
            return language
    is_english = plain.isascii() and len(_ENGLISH.intersection(words)) > len(words) // 8
    return "en" if is_english else None


def detect_common_language(texts: Iterable[str]) -> str | None:
    """Tell the language that more than half of the texts are in; None where there is none."""
    languages = Counter(detect_language(text[:600]) for text in texts)
    language, times = languages.most_common(1)[0] if languages else (None, 0)
    return language if 2 * times > languages.total() else None


@lru_cache(maxsize=1)
def _load_identifier() -> LanguageIdentifier:
    """Load the model at its first use: 0.8 s of CPU, 77 MB."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
