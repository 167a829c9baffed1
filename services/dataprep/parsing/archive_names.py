"""Names of files in archives that do not say their encoding: UTF-8, Shift-JIS, or what DOS wrote. Pure.

Windows in Japan writes names in Shift-JIS (cp932) and marks nothing; Windows elsewhere and DOS write cp437.
Names are taken for Japanese where what is not ASCII in them comes in runs of kana and kanji, as words do: an
umlaut in cp437 would be one lone character between Latin letters.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence

_UTF8 = 0x800
_UNICODE_PATH = 0x7075
_RUN = re.compile(r"[^\x00-\x7f]+")
_WORD_RUN = 2
_OF_JAPANESE = ("HIRAGANA", "KATAKANA", "CJK", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC")


def decode_names(names: Sequence[bytes]) -> list[str]:
    """Decode the names of one archive, all in the same encoding."""
    for encoding in ("utf-8", "cp932"):
        try:
            decoded = [name.decode(encoding) for name in names]
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or _is_japanese("\n".join(decoded)):
            return decoded
    return [name.decode("cp437") for name in names]


def name_members(members: Sequence[zipfile.ZipInfo]) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Give a ZIP archive's members with their names."""
    unmarked = [info for info in members if not info.flag_bits & _UTF8 and not info.orig_filename.isascii()]
    guessed = dict(
        zip(
            map(id, unmarked),
            decode_names([info.orig_filename.encode("cp437") for info in unmarked]),
            strict=True,
        )
    )
    for info in members:
        yield info, _read_unicode_path(info) or guessed.get(id(info), info.filename)


def _read_unicode_path(info: zipfile.ZipInfo) -> str:
    """Read the name in UTF-8 that some programs add (APPNOTE.TXT 4.6.9); empty where there is none."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == _UNICODE_PATH and size > 5:
            return extra[9 : 4 + size].decode("utf-8", "replace")
        extra = extra[4 + size :]
    return ""


def _is_japanese(text: str) -> bool:
    runs = _RUN.findall(text)
    letters = "".join(runs)
    japanese = sum(unicodedata.name(letter, "").startswith(_OF_JAPANESE) for letter in letters)
    return bool(letters) and japanese * 10 >= len(letters) * 8 and len(letters) >= _WORD_RUN * len(runs)
