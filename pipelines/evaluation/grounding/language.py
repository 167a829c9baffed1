"""Tells whether a text is in the language that the scorer is fitted for: English. Pure, by small words.

A threshold says nothing of a language that it was not calibrated for: words are inflected otherwise, and a
claim in another language than its passages shares no word with them.
"""

from __future__ import annotations

import re

ENOUGH = 4
"""Words from which a text can be told to be of another language."""

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_ENGLISH = frozenset(
    """the a an of to and in is are was were be been it its that this these those for on with as by at from or
    not he she they we you i his her their our has have had which who what when where how there than but if
    can will would could should may might must does did do also only more most such about into over after
    before because while during between through other some any all no so then them him""".split()  # noqa: SIM905
)
_OTHERS = frozenset(
    """der das und ist sind nicht ein eine einer einem einen mit auf von zu im den dem des wird werden
    f\u00fcr auch sich bei als nach aus wurde hat oder le la les et est sont une dans du de pour qui que
    avec par sur pas il elle au aux ont plus \u00e0 el los las es y en un una por con para se lo como
    m\u00e1s fue son gli di che \u00e8 per non della del sono nel alla o os um uma da em n\u00e3o com
    mais s\u00e3o foi het een van niet zijn op te voor met dat och \u00e4r att som av p\u00e5 f\u00f6r
    inte det na w z nie jest si\u0119 ve bir bu i\u00e7in og er ikke af til je""".split()  # noqa: SIM905
)


def is_english(text: str) -> bool:
    """Tell whether a text may be English; what has too few words to tell, as a name or a figure, may be."""
    if not text.isascii() and 2 * len(_LATIN.findall(text)) < len(_LETTER.findall(text)):
        return False
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) < ENOUGH:
        return True
    english = sum(word in _ENGLISH for word in words)
    others = sum(word in _OTHERS for word in words)
    return english >= others and (english > 0 or text.isascii())
