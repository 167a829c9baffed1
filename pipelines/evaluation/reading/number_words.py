"""Writes the number words of a text as digits: "two hundred and one", "a dozen", "seven and a half", "三".

English is read here, since halves, dozens and "minus" are what answers are full of and no library reads
them; German, French, Spanish, Italian, Portuguese and Dutch are read by text2num.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from text_to_num import alpha2digit  # type: ignore[import-untyped]

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = {
    word: value
    for value, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ],
        start=1,
    )
}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fifth": 5, "fifths": 5,
    "tenth": 10, "tenths": 10,
}  # fmt: skip
_SMALL_WORD = "|".join(sorted(_SMALL, key=len, reverse=True))
_WORD = rf"(?:{_SMALL_WORD}|hundred|thousand|million|billion|trillion|dozen)"
_RUN = re.compile(
    r"\b(?!(?:(?<=\d\s)|(?<=and\sa\shalf\s))(?:thousand|million|billion|trillion))"
    r"(?:an?[ -]+(?=hundred|thousand|million|billion|trillion|dozen))?"
    r"(?:half[ -]a[ -](?=dozen|million|billion|thousand|hundred))?"
    r"(?:(?<![\w.,])\d[\d,]*(?:\.\d+)?[ -]+(?=hundred\b|dozen\b))?"
    rf"{_WORD}(?:(?:[ -]+|[ -]+and[ -]+|[ -]+point[ -]+){_WORD})*\b",
    re.IGNORECASE,
)
_AND_A_PART = re.compile(
    r"\b(\d+|an?)\s+((?!and\b)[a-z]+\s+)?and\s+(a|one|two|three)[ -](half|third|quarter)s?\b", re.IGNORECASE
)
_PART = re.compile(
    rf"\b(an?|one|two|three|four|\d)[ -]({'|'.join(_PARTS)})\b(?!\s+(?:dozen|place|time|floor|one))",
    re.IGNORECASE,
)
_HALF = re.compile(
    r"(?<!\ban\s)\bhalf\b(?!\s+(?:a\s+dozen|past|of\s+(?:it\b|the\b)?\s*[$\u20ac]?\d))|\bdie\s+H\u00e4lfte\b|\bla\s+moiti\u00e9\b|\bla\s+mitad\b",
    re.IGNORECASE,
)
_MINUS = re.compile(r"\b(?:minus|negative|moins|menos|meno)\s+(?=[$\u20ac\u00a3]?\d)", re.IGNORECASE)
_BELOW_ZERO = re.compile(
    r"(?<![\d.-])(\d+(?:\.\d+)?)((?:\s+|\u00b0)[\w\u00b0]*\s*(?:[CF]\s+)?)below\s+(?:zero|0)\b", re.IGNORECASE
)
_ORDINAL = re.compile(
    rf"\b((?:{'|'.join(_TENS)})[ -])?({'|'.join(_ORDINALS)})\b(?!\s+(?:thought|of\s+all))", re.IGNORECASE
)
_CHINESE = re.compile(r"[〇零一二三四五六七八九十百千万萬億亿両两]+")
_CHINESE_DIGITS = {character: value for value, character in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "两": 2,
    "両": 2,
}
_CHINESE_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8}
_NOBODY = re.compile(
    r"(?:^\W*|(?<=[:;,])\s+(?=(?:none|nobody|no\s+one)\W*$))(?:none|nobody|no\s+one|nothing(?=\W*$)|not\s+a\s+single\s+one|keine?r?|personne|null|nil)\b(?!\s+but\b)",
    re.IGNORECASE,
)
_FOREIGN_PARTS = (
    (re.compile(r"\b(?:ein\s+)?Viertel\b|\bun\s+(?:quart|cuarto|quarto)\b"), "1/4"),
    (re.compile(r"\b(?:ein\s+)?Drittel\b|\bun\s+(?:tiers|tercio|terzo)\b"), "1/3"),
    (re.compile(r"\banderthalb\b", re.IGNORECASE), "1.5"),
    *(
        (
            re.compile(
                rf"\b(?:{german}einhalb\b|{french}(?:\s+\w+)?\s+et\s+demie?\b|{spanish}(?:\s+\w+)?\s+y\s+medi[oa]\b|"
                rf"{italian}(?:\s+\w+)?\s+e\s+mezz[oa]\b)",
                re.IGNORECASE,
            ),
            f"{value}.5 ",
        )
        for value, (german, french, spanish, italian) in enumerate(
            (
                ("ein", "une?", "un[oa]?", "un[oa]?"),
                ("zwei", "deux", "dos", "due"),
                ("drei", "trois", "tres", "tre"),
                ("vier", "quatre", "cuatro", "quattro"),
                ("f\u00fcnf", "cinq", "cinco", "cinque"),
                ("sechs", "six", "seis", "sei"),
                ("sieben", "sept", "siete", "sette"),
                ("acht", "huit", "ocho", "otto"),
                ("neun", "neuf", "nueve", "nove"),
            ),
            start=1,
        )
    ),
    (re.compile(r"\bdrei\s*viertel\b|\btrois\s+quarts\b", re.IGNORECASE), "3/4"),
)
_PAIR = re.compile(
    r"^(\W*(?:(?:only|just|exactly|there\s+(?:is|are))\s+)?)a\s+(?:pair|couple)\b(?!\s+(?:of\s+)?(?:hundred|thousand|million|days|"
    r"weeks|years|who|from))(?:\s+of\b)?",
    re.IGNORECASE,
)
_NO_ONE = re.compile(
    r"\b(no|any|every|some|each|this|that|which"
    rf"|(?:the|an?|his|her|its)\s+(?!(?:{'|'.join(_TENS)})\b)[a-z]+)([ -]o)(ne)\b",
    re.IGNORECASE,
)
_ROMAN = re.compile(r"(?=[MDCLXVI]{2,})M*(?:C[MD]|D?C{0,3})(?:X[CL]|L?X{0,3})(?:I[XV]|V?I{0,3})")
_ROMAN_VALUES = {"M": 1000, "D": 500, "C": 100, "L": 50, "X": 10, "V": 5, "I": 1}
_LANGUAGES = {
    "de": re.compile(r"\b(?:der|die|das|es|sind|ist|und|ein|eine|nicht|mit)\b", re.IGNORECASE),
    "fr": re.compile(r"\b(?:le|la|les|il|elle|est|sont|et|une?|des|du|reste)\b", re.IGNORECASE),
    "es": re.compile(r"\b(?:el|los|las|es|son|hay|una?|del|y)\b", re.IGNORECASE),
    "it": re.compile(r"\b(?:il|lo|gli|sono|ci|che|della|di)\b", re.IGNORECASE),
    "pt": re.compile(r"\b(?:o|os|s\u00e3o|h\u00e1|uma?|das?|dos?)\b", re.IGNORECASE),
    "nl": re.compile(r"\b(?:het|een|zijn|er|van|de)\b", re.IGNORECASE),
}
_ENGLISH = re.compile(r"\b(?:the|is|are|there|it|of|was|he|she|they|has|answer|and|to|a)\b", re.IGNORECASE)
_ENGLISH_ALONE = frozenset({"second", "once", "elf", "none", "non"})
_FOREIGN_ORDINALS = re.compile(r"\b(\d+)(?:\.|\u00e8me|er|nd|re|e|\u00ba|\u00aa)(?=\s|$)")


def write_digits(text: str, *, ordinals: bool = False, nobody: bool = True) -> str:
    """Write a text's number words as digits.

    Args:
        text: Any text.
        nobody: Whether "none" and "nobody" are 0.
        ordinals: Whether ordinals count ("third" is 3): where a place is asked for. "A third" is 1/3 anyway.
    """
    for pattern, part in _FOREIGN_PARTS:
        text = pattern.sub(part, text)
    text = _PAIR.sub(r"\g<1>2", _NOBODY.sub("0", text) if nobody else text)
    text = _NO_ONE.sub("\\1\\2\x00\\3", text)  # "each one" counts nothing
    if ordinals:
        text = _ORDINAL.sub(_read_ordinal, _PART.sub(_read_part, text))
    text = _RUN.sub(lambda match: _read_run(match.group()), text)
    text = _AND_A_PART.sub(_add_part, text)
    text = _PART.sub(_read_part, text)
    text = _HALF.sub("0.5", text)
    if not any(character.isdecimal() for character in text):
        text = _read_foreign(text, ordinals=ordinals)
    text = _BELOW_ZERO.sub(r"-\1\2", _MINUS.sub("-", text))
    text = _CHINESE.sub(_read_chinese, text)
    if not any(character.isdecimal() for character in text):
        bare = text.strip(" .*")
        if bare and _ROMAN.fullmatch(bare):
            return str(_read_roman(bare))
    return text.replace("\x00", "")


def _read_run(words: str) -> str:
    """The number of some English number words; the words themselves where they are none together."""
    lowered = words.lower()
    factor = Fraction(1, 2) if lowered.startswith("half") else Fraction(1)
    parts = [word for word in re.split(r"[ -]+", lowered) if word not in {"and", "a", "an", "half"}]
    whole, _, decimals = " ".join(parts).partition(" point ")
    total = current = Fraction(0)
    for at, word in enumerate(whole.split()):
        if word in _SMALL:
            if current and (current % 10 or (_SMALL[word] >= 10 and current % 100)):
                return _read_year(whole.split(), at) or words  # "two three": a list, no number
            current += _SMALL[word]
        elif word == "hundred":
            current = (current or Fraction(1)) * 100
        elif word == "dozen":
            current = (current or Fraction(1)) * 12
        elif word in _SCALES:
            total, current = total + (current or Fraction(1)) * _SCALES[word], Fraction(0)
        elif word[0].isdigit():
            current = Fraction(word.replace(",", ""))
    scale = Fraction(1)
    digits = ""
    for word in decimals.split():
        if word in _SCALES:
            scale *= _SCALES[word]
        else:
            digits += str(_SMALL.get(word, ""))
    value = total + current
    if digits:
        value += Fraction(int(digits), 10 ** len(digits))
    value *= scale * factor
    return str(int(value)) if value.denominator == 1 else f"{float(value):g}"


def _read_year(words: Sequence[str], middle: int) -> str:
    """The year that two numbers in words are, "seventeen eighty-three"; nothing where they are none."""
    if any(word not in _SMALL for word in words):
        return ""
    century, rest = (sum(_SMALL[word] for word in part) for part in (words[:middle], words[middle:]))
    plain = middle == 1 and len(words) <= 3 and (len(words) == 2 or rest > 20)
    return f"{100 * century + rest}" if plain and 11 <= century <= 20 and 10 <= rest <= 99 else ""


def _add_part(match: re.Match[str]) -> str:
    whole = 1 if match.group(1).lower() in {"a", "an"} else int(match.group(1))
    parts = {"two": 2, "three": 3}.get(match.group(3).lower(), 1)
    return f"{whole + parts / _PARTS[match.group(4).lower()]:g} {match.group(2) or ''}".strip()


def _read_part(match: re.Match[str]) -> str:
    count = match.group(1).lower()
    top = 1 if count in {"a", "an"} else _SMALL.get(count) or int(count)
    return f"{top}/{_PARTS[match.group(2).lower()]}"


def _read_ordinal(match: re.Match[str]) -> str:
    tens = _SMALL[match.group(1).strip(" -").lower()] if match.group(1) else 0
    return f"{tens + _ORDINALS[match.group(2).lower()]}th"


def _read_foreign(text: str, *, ordinals: bool) -> str:
    """Read the number words of the language that the text seems to be in, or that reads a bare word."""
    if len(_ENGLISH.findall(text)) > 1 or text.strip(" .").lower() in _ENGLISH_ALONE:
        return text
    likely = {name: len(words.findall(text)) for name, words in _LANGUAGES.items()}
    for name in sorted(likely, key=lambda name: -likely[name]):
        if not likely[name] and len(text.split()) > 3:
            return text
        written: str = alpha2digit(text, name, 0)
        if written != text and (ordinals or not _FOREIGN_ORDINALS.search(written)):
            return _FOREIGN_ORDINALS.sub(r"\1th", written)
    return text


def _read_chinese(match: re.Match[str]) -> str:
    total = section = digit = 0
    characters = match.group()
    if not any(character in _CHINESE_SCALES for character in characters):
        return "".join(str(_CHINESE_DIGITS[character]) for character in characters)
    if all(character in "万萬億亿" for character in characters):
        return characters  # after digits: a scale
    for character in characters:
        if character in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[character]
        elif _CHINESE_SCALES[character] < 10**4:
            section, digit = section + (digit or 1) * _CHINESE_SCALES[character], 0
        else:
            total, section, digit = total + (section + digit) * _CHINESE_SCALES[character], 0, 0
    return str(total + section + digit)


def _read_roman(text: str) -> int:
    values = [_ROMAN_VALUES[character] for character in text]
    return sum(
        -value if any(later > value for later in values[at + 1 : at + 2]) else value
        for at, value in enumerate(values)
    )
