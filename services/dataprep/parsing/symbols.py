"""Characters of symbol fonts in Unicode, for texts that name a place in a font and no character. Pure."""

from __future__ import annotations

_SYMBOL = (
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",  # noqa: RUF001
    "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪",  # noqa: RUF001
    "〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
)
"""Adobe's Symbol encoding, from 0x20, 0xA0 and 0xF1 on (Unicode's mapping table SYMBOL.TXT)."""

_WINGDINGS = {
    **dict(zip(range(0x8C, 0x95), "➊➋➌➍➎➏➐➑➒", strict=True)),
    **dict(zip(range(0x81, 0x8A), "①②③④⑤⑥⑦⑧⑨", strict=True)),
    **{
        0x20: " ",
        0x22: "✂",
        0x28: "☎",
        0x2A: "✉",
        0x36: "⌛",
        0x3F: "✍",
        0x45: "☜",
        0x46: "☞",
        0x4A: "☺",
        0x4C: "☹",
    },
    **{
        0x4E: "☠",
        0x6C: "●",
        0x6D: "❍",
        0x6E: "■",
        0x6F: "□",
        0x71: "❑",
        0x72: "❒",
        0x75: "◆",
        0x76: "❖",
        0x77: "⬥",
    },
    **{
        0x78: "☒",
        0x9E: "·",
        0x9F: "•",
        0xA7: "▪",
        0xA8: "☐",
        0xAB: "★",
        0xD8: "➢",
        0xDF: "←",
        0xE0: "→",
        0xE1: "↑",
    },
    **{0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑"},
}

_MICRO_FROM_LATIN = 0xB5
_UNITS = ("m", "g", "l", "L", "s", "A", "V", "W", "F", "H", "J", "N", "C", "T", "S", "Ω", "P")
_PRIVATE = range(0xF020, 0xF100)


def read_symbol(font: str, code: int, following: str = "") -> str | None:
    """Tell which character stands at a place of a font; None where that is not known.

    Args:
        font: The font's name.
        code: The place, also as Windows writes it, from 0xF000 on.
        following: The text behind it. Where a unit follows, place 0xB5 of Symbol is a mu: some programs take
            Latin-1's places for those of the font, and nothing is proportional to a unit.
    """
    place = code - 0xF000 if code in _PRIVATE else code
    name = font.lower()
    if name.startswith("wingdings"):
        return _WINGDINGS.get(place) if name == "wingdings" else None
    if not name.startswith("symbol"):
        return chr(code) if code not in _PRIVATE and 0x20 <= code < 0xD800 else None
    if place == _MICRO_FROM_LATIN and following.startswith(_UNITS):
        return "µ"
    for first, characters in zip((0x20, 0xA0, 0xF1), _SYMBOL, strict=True):
        if first <= place < first + len(characters):
            return characters[place - first]
    return None


def is_private(character: str) -> bool:
    """Whether it is a place in a font, as Windows writes it into a text."""
    return ord(character) in _PRIVATE
