"""Source code: the decoded file, unchanged, with a section for every definition, named by its symbols.

A pattern or two for each language finds definitions by line and indentation. It is not a parser: a definition
that no pattern knows is part of the one before, and what looks like one within a string counts. Every pattern
is bound to the start of a line and to short pieces of it, so that no line takes more than linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.dataprep.parsing.decoding import decode
from services.dataprep.parsing.document import Format, Limits, Outline, ParsedDocument

COMMENT_LINES = 60
"""So many lines above a definition may be its comments, decorators and attributes."""

_COMMENT_STARTS = ("@", "#", "//", "/*", "*", "--", "'''", '"""')
_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|override|virtual|async|open|data|"
    r"inline|suspend|synchronized|native|partial|readonly|export|default|declare|get|set)[ \t]+)"
)


@dataclass(frozen=True, slots=True)
class Language:
    """A language's suffixes and the patterns of its definitions.

    `hash_comments` is off where a `#` above a definition is a directive, or may end what is above it.
    """

    suffixes: tuple[str, ...]
    patterns: tuple[str, ...]
    hash_comments: bool = True


_LANGUAGES = (
    Language((".py", ".pyi"), (r"(?:async[ \t]+)?(?:def|class)[ \t]+(?P<name>\w+)",)),
    Language(
        (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".vue", ".svelte"),
        (
            _MODIFIERS + r"{0,6}(?:function[ \t]*\*?|class|interface|enum|namespace|type)[ \t]+"
            r"(?P<name>[\w$]{1,200})",
            r"(?:export[ \t]+)?(?:const|let|var)[ \t]+(?P<name>[\w$]{1,200})[^=\n]{0,200}=[ \t]*"
            r"(?:async[ \t]*)?(?:function\b|\([^\n]{0,400}=>|[\w$]{1,200}[ \t]*=>)",
            _MODIFIERS + r"{0,6}(?!(?:if|for|while|switch|catch|function|return|with|do|await|super)\b)"
            r"(?P<name>#?[\w$]{1,200})[ \t]*\([^\n;]{0,400}\{[ \t]*$",
        ),
    ),
    Language(
        (".java", ".kt", ".kts", ".scala", ".cs", ".groovy", ".dart"),
        (
            _MODIFIERS
            + r"{0,8}(?:class|interface|enum|record|struct|object|trait|@interface|namespace)[ \t]+"
            r"(?P<name>\w{1,200})",
            _MODIFIERS + r"{0,8}(?:fun|def)[ \t]+(?:<[^>\n]{0,100}>[ \t]*)?(?P<name>[\w.]{1,200})",
            _MODIFIERS + r"{1,8}(?:[\w<>\[\],.?]{1,200}[ \t]+){0,3}(?P<name>\w{1,200})[ \t]*\([^\n;]{0,400}$",
        ),
    ),
    Language((".go",), (r"func[ \t]+(?:\([^)\n]{0,200}\)[ \t]*)?(?P<name>\w+)", r"type[ \t]+(?P<name>\w+)")),
    Language(
        (".rs",),
        (
            r"(?:pub(?:\([^)\n]{0,100}\))?[ \t]+)?(?:(?:async|unsafe|const|extern|\"C\")[ \t]+){0,4}"
            r"(?:fn|struct|enum|trait|mod|union|type|macro_rules!)[ \t]+(?P<name>\w+)",
            r"(?:unsafe[ \t]+)?impl\b(?:<[^\n{]{0,100}>)?[ \t]+(?P<name>[^\n{]{1,100}?)[ \t]*(?:\{|$)",
        ),
    ),
    Language(
        (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cu"),
        (
            r"(?:typedef[ \t]+)?(?:class|struct|union|enum(?:[ \t]+class)?|namespace)[ \t]+"
            r"(?P<name>\w{1,200})[^;\n]{0,200}\{?[ \t]*$",
            r"(?<![ \t])(?!return\b|else\b|if\b|for\b|while\b|switch\b|typedef\b|using\b)[A-Za-z_]"
            r"[\w:<>,*& \t]{0,80}?[ \t*&](?P<name>~?[\w:]{1,80})[ \t]*\([^;\n]{0,200}$",
        ),
        hash_comments=False,
    ),
    Language((".rb",), (r"(?:def|class|module)[ \t]+(?P<name>[\w.:?!]+)",)),
    Language((".php",), (_MODIFIERS + r"{0,6}(?:function|class|interface|trait|enum)[ \t]+&?(?P<name>\w+)",)),
    Language(
        (".swift",),
        (_MODIFIERS + r"{0,6}(?:func|class|struct|enum|protocol|extension|actor)[ \t]+(?P<name>[\w.]+)",),
    ),
    Language((".lua",), (r"(?:local[ \t]+)?function[ \t]+(?P<name>[\w.:]+)",)),
    Language(
        (".sh", ".bash", ".zsh"),
        (r"function[ \t]+(?P<name>[\w:.-]+)", r"(?P<name>[\w:.-]{1,200})[ \t]*\([ \t]*\)"),
    ),
    Language(
        (".sql",),
        (
            r"(?i:create[ \t]+(?:or[ \t]+replace[ \t]+)?(?:(?:temporary|temp|unique|materialized)[ \t]+){0,2}"
            r"(?:table|view|function|procedure|trigger|index|type|schema)[ \t]+"
            r"(?:if[ \t]+not[ \t]+exists[ \t]+)?)"
            r"(?P<name>[\w.\"`\[\]]+)",
        ),
    ),
    Language((".proto",), (r"(?:message|service|enum|rpc)[ \t]+(?P<name>\w+)",)),
    Language(
        (".yaml", ".yml"),
        (r"(?<![ \t])(?P<name>[\w./-]{1,200}):[ \t]*(?:[|>&!][^\n]{0,100})?(?:#[^\n]{0,400})?$",),
        hash_comments=False,
    ),
    Language(
        (".toml", ".ini", ".cfg", ".conf", ".properties"),
        (r"\[{1,2}(?P<name>[^\]\n]{1,200})\]",),
        hash_comments=False,
    ),
)

FORMAT = Format(
    title="code",
    position=110,
    suffixes=tuple(suffix for language in _LANGUAGES for suffix in language.suffixes),
    read_with="patterns by language",
    sections="functions, classes, tables, keys, with the comments above them",
)


def parse(data: bytes, limits: Limits, suffix: str) -> ParsedDocument:
    """Decode the file and find its definitions."""
    decoded = decode(data, named=limits.encoding)
    text = decoded.text
    outline = Outline()
    for symbol in find_symbols(text, suffix):
        outline.add(symbol.indent, symbol.name, start=symbol.start, body=symbol.body)
    return ParsedDocument(text, outline.sections, warnings=decoded.warnings)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition: its comments begin at `start`, its first line ends at `body`."""

    name: str
    indent: int
    start: int
    body: int


def find_symbols(text: str, suffix: str) -> Iterator[Symbol]:
    """Find the definitions in order, at most one on a line."""
    language = next(language for language in _LANGUAGES if suffix in language.suffixes)
    matches: dict[int, re.Match[str]] = {}
    for pattern in language.patterns:
        for match in re.finditer(rf"^(?P<indent>[ \t]*+){pattern}", text, re.MULTILINE):
            matches.setdefault(match.start(), match)
    earliest = 0
    for at in sorted(matches):
        match = matches[at]
        end = text.find("\n", match.end("name"))
        body = len(text) if end < 0 else end + 1
        start = _find_comments(text, at, earliest, hash_comments=language.hash_comments)
        yield Symbol(match["name"].strip("\"'`[]"), len(match["indent"].expandtabs(4)), start, body)
        earliest = body


def _find_comments(text: str, at: int, earliest: int, *, hash_comments: bool) -> int:
    """Find where the comments and decorators right above the line at `at` begin."""
    for _ in range(COMMENT_LINES):
        start = text.rfind("\n", earliest, max(at - 1, earliest)) + 1 or earliest
        line = text[start : min(start + 200, at)].strip()
        is_comment = line.startswith(_COMMENT_STARTS) and (hash_comments or not line.startswith("#"))
        if at <= earliest or not is_comment:
            return at
        at = start
    return at
