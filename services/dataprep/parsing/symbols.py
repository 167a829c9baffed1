"""Where source code defines something: pure. A pattern or two for each language, by line and indentation.

Not a parser: a definition that no pattern knows is part of the one before, and what looks like one within a
string counts. Every pattern is bound to the start of a line and to short pieces of it, so that no line takes
more than linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "python": (".py", ".pyi"),
        "javascript": (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".vue", ".svelte"),
        "java": (".java", ".kt", ".kts", ".scala", ".cs", ".groovy", ".dart"),
        "go": (".go",),
        "rust": (".rs",),
        "c": (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cu"),
        "ruby": (".rb",),
        "php": (".php",),
        "swift": (".swift",),
        "lua": (".lua",),
        "shell": (".sh", ".bash", ".zsh"),
        "sql": (".sql",),
        "proto": (".proto",),
        "yaml": (".yaml", ".yml"),
        "toml": (".toml", ".ini", ".cfg", ".conf", ".properties"),
    }
)
COMMENT_LINES = 60
"""So many lines above a definition may be its comments, decorators and attributes."""

_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|override|virtual|async|open|data|"
    r"inline|suspend|synchronized|native|partial|readonly|export|default|declare|get|set)[ \t]+)"
)
_PATTERNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "python": (r"(?:async[ \t]+)?(?:def|class)[ \t]+(?P<name>\w+)",),
        "javascript": (
            _MODIFIERS + r"{0,6}(?:function[ \t]*\*?|class|interface|enum|namespace|type)[ \t]+"
            r"(?P<name>[\w$]{1,200})",
            r"(?:export[ \t]+)?(?:const|let|var)[ \t]+(?P<name>[\w$]{1,200})[^=\n]{0,200}=[ \t]*"
            r"(?:async[ \t]*)?(?:function\b|\([^\n]{0,400}=>|[\w$]{1,200}[ \t]*=>)",
            _MODIFIERS + r"{0,6}(?!(?:if|for|while|switch|catch|function|return|with|do|await|super)\b)"
            r"(?P<name>#?[\w$]{1,200})[ \t]*\([^\n;]{0,400}\{[ \t]*$",
        ),
        "java": (
            _MODIFIERS
            + r"{0,8}(?:class|interface|enum|record|struct|object|trait|@interface|namespace)[ \t]+"
            r"(?P<name>\w{1,200})",
            _MODIFIERS + r"{0,8}(?:fun|def)[ \t]+(?:<[^>\n]{0,100}>[ \t]*)?(?P<name>[\w.]{1,200})",
            _MODIFIERS + r"{1,8}(?:[\w<>\[\],.?]{1,200}[ \t]+){0,3}(?P<name>\w{1,200})[ \t]*\([^\n;]{0,400}$",
        ),
        "go": (r"func[ \t]+(?:\([^)\n]{0,200}\)[ \t]*)?(?P<name>\w+)", r"type[ \t]+(?P<name>\w+)"),
        "rust": (
            r"(?:pub(?:\([^)\n]{0,100}\))?[ \t]+)?(?:(?:async|unsafe|const|extern|\"C\")[ \t]+){0,4}"
            r"(?:fn|struct|enum|trait|mod|union|type|macro_rules!)[ \t]+(?P<name>\w+)",
            r"(?:unsafe[ \t]+)?impl\b(?:<[^\n{]{0,100}>)?[ \t]+(?P<name>[^\n{]{1,100}?)[ \t]*(?:\{|$)",
        ),
        "c": (
            r"(?:typedef[ \t]+)?(?:class|struct|union|enum(?:[ \t]+class)?|namespace)[ \t]+"
            r"(?P<name>\w{1,200})[^;\n]{0,200}\{?[ \t]*$",
            r"(?<![ \t])(?!return\b|else\b|if\b|for\b|while\b|switch\b|typedef\b|using\b)[A-Za-z_]"
            r"[\w:<>,*& \t]{0,80}?[ \t*&](?P<name>~?[\w:]{1,80})[ \t]*\([^;\n]{0,200}$",
        ),
        "ruby": (r"(?:def|class|module)[ \t]+(?P<name>[\w.:?!]+)",),
        "php": (_MODIFIERS + r"{0,6}(?:function|class|interface|trait|enum)[ \t]+&?(?P<name>\w+)",),
        "swift": (
            _MODIFIERS + r"{0,6}(?:func|class|struct|enum|protocol|extension|actor)[ \t]+(?P<name>[\w.]+)",
        ),
        "lua": (r"(?:local[ \t]+)?function[ \t]+(?P<name>[\w.:]+)",),
        "shell": (r"function[ \t]+(?P<name>[\w:.-]+)", r"(?P<name>[\w:.-]{1,200})[ \t]*\([ \t]*\)"),
        "sql": (
            r"(?i:create[ \t]+(?:or[ \t]+replace[ \t]+)?(?:(?:temporary|temp|unique|materialized)[ \t]+){0,2}"
            r"(?:table|view|function|procedure|trigger|index|type|schema)[ \t]+"
            r"(?:if[ \t]+not[ \t]+exists[ \t]+)?)"
            r"(?P<name>[\w.\"`\[\]]+)",
        ),
        "proto": (r"(?:message|service|enum|rpc)[ \t]+(?P<name>\w+)",),
        "yaml": (r"(?<![ \t])(?P<name>[\w./-]{1,200}):[ \t]*(?:[|>&!][^\n]{0,100})?(?:#[^\n]{0,400})?$",),
        "toml": (r"\[{1,2}(?P<name>[^\]\n]{1,200})\]",),
    }
)
_ABOVE = ("@", "#", "//", "/*", "*", "--", "'''", '"""')
_DIRECTIVES = frozenset({"c", "yaml", "toml"})
"""Where a `#` above is a directive, or may end what is above it."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition: its comments begin at `start`, its first line ends at `body`."""

    name: str
    indent: int
    start: int
    body: int


def symbols(text: str, suffix: str) -> Iterator[Symbol]:
    """The definitions in order, each on a line of its own."""
    language = next((name for name, suffixes in SUFFIXES.items() if suffix in suffixes), "")
    found: dict[int, re.Match[str]] = {}
    for pattern in _PATTERNS.get(language, ()):
        for match in re.finditer(rf"^(?P<indent>[ \t]*+){pattern}", text, re.MULTILINE):
            found.setdefault(match.start(), match)
    earliest = 0
    for at in sorted(found):
        match = found[at]
        end = text.find("\n", match.end("name"))
        body = len(text) if end < 0 else end + 1
        start = _above(text, at, earliest, hash_counts=language not in _DIRECTIVES)
        yield Symbol(match["name"].strip("\"'`[]"), len(match["indent"].expandtabs(4)), start, body)
        earliest = body


def _above(text: str, at: int, earliest: int, *, hash_counts: bool) -> int:
    """Where the comments and decorators right above the line at `at` begin."""
    for _ in range(COMMENT_LINES):
        start = text.rfind("\n", earliest, max(at - 1, earliest)) + 1 or earliest
        line = text[start : min(start + 200, at)].strip()
        if at <= earliest or not line.startswith(_ABOVE) or (line.startswith("#") and not hash_counts):
            return at
        at = start
    return at
