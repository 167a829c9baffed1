"""The parser: every case under every cut into two, and random cuts; fuzzed; linear."""

from __future__ import annotations

import gc
import itertools
import random
import time
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.generation.reasoning.markup import compile_tags
from services.generation.reasoning.parser import ReasoningParser
from services.generation.reasoning.profiles import PROFILES
from services.generation.reasoning.tags import match_foreign
from tests.soak import rounds

T, F = "content", "reasoning"
RANDOM_CUTS = 200
HARMONY = "<|channel|>analysis<|message|>"
FINAL = "<|channel|>final<|message|>"


@dataclass(frozen=True)
class Case:
    """`stream` is text, or pairs of a field and its text, in order."""

    name: str
    profile: str
    stream: str | tuple[tuple[str, str], ...]
    reasoning: str
    content: str
    truncated: bool = False
    misplaced: int = 0

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        return ((T, self.stream),) if isinstance(self.stream, str) else self.stream


CASES = [
    # where the trace is
    Case("no thinking", "tags", "The answer.", "", "The answer."),
    Case("tags", "tags", "<think>\nhm\n</think>\n\nThe answer.\n", "hm", "The answer.\n"),
    Case("tags, no whitespace", "tags", "<think>hm</think>Yes", "hm", "Yes"),
    Case("tags after whitespace", "tags", "\n <think>hm</think> Yes", "hm", "Yes"),
    Case("whitespace of an answer without thinking stays", "tags", "  Yes", "", "  Yes"),
    Case("nothing but whitespace", "tags", " \n ", "", " \n "),
    Case("nothing", "tags", "", "", ""),
    Case("empty thinking", "qwen3", "<think>\n\n</think>\n\nYes", "", "Yes"),
    Case("opener pre-filled", "deepseek-r1", "hm, so\n</think>\n\nYes.", "hm, so", "Yes."),
    Case("opener pre-filled and repeated", "deepseek-r1", "\n<think>\nhm</think>Yes", "hm", "Yes"),
    Case("opener pre-filled, nothing thought", "deepseek-r1", "\n</think>\n\nYes", "", "Yes"),
    Case("prompted", "prompted", "1. Look.\n2. See.\n</think>\nYes", "1. Look.\n2. See.", "Yes"),
    Case("field", "field", ((F, "hm"), (T, "Yes")), "hm", "Yes"),
    Case("field, then empty lines", "field", ((F, "hm\n"), (T, "\n\nYes")), "hm\n", "Yes"),
    Case("field of a pre-filled model", "deepseek-r1", ((F, "hm"), (T, "\n\nYes")), "hm", "Yes"),
    Case("field of an instruct model", "none", ((F, "hm"), (T, "\nYes")), "hm", "\nYes"),
    Case("instruct is taken as it is", "none", "<think>a</think>b", "", "<think>a</think>b"),
    Case("unknown model that thinks", "unknown", "<think>hm</think>Yes", "hm", "Yes"),
    # mixed
    Case("field, then tags", "field", ((F, "a"), (T, "<think>b</think>Yes")), "a\nb", "Yes"),
    Case("tags, then field", "tags", ((T, "<think>a</think>"), (F, "b"), (T, "Yes")), "ab", "Yes"),
    Case("field within the answer", "field", ((T, "Yes "), (F, "a"), (T, "no")), "a", "Yes no"),
    Case("field within a tag", "tags", ((T, "<thi"), (F, "x"), (T, "nk>a</think>Y")), "x\na", "Y"),
    Case("field, closer left in the text", "field", ((F, "a"), (T, "\n</think>\nYes")), "a", "Yes"),
    Case("field within tagged thinking", "tags", ((T, "<think>a "), (F, "x"), (T, "b</think>Y")), "ax b", "Y"),
    # nested, several, stray, unclosed
    Case("nested", "tags", "<think>a<think>b</think>c</think>Yes", "abc", "Yes"),
    Case("nested twice", "tags", "<think>1<think>2<think>3</think></think>4</think>Yes", "1234", "Yes"),
    Case("nested in pre-filled", "deepseek-r1", "a <think>b</think> c</think>Yes", "a b c", "Yes"),
    Case("two blocks", "tags", "<think>a</think>\n<think>b</think>\nYes", "a\nb", "Yes"),
    Case("second block in the answer", "tags", "<think>a</think>One <think>b</think> two", "a\nb", "One two"),
    Case("block between two words", "tags", "One<think>b</think> two", "b", "One two"),
    Case("block between two paragraphs", "tags", "One\n\n<think>b</think>\n\nTwo", "b", "One\n\nTwo"),
    Case("unclosed", "tags", "<think>hm, but ", "hm, but", "", truncated=True),
    Case("unclosed, pre-filled", "deepseek-r1", "hm, but", "hm, but", "", truncated=True),
    Case("unclosed in the middle of a tag", "tags", "<think>hm</thi", "hm</thi", "", truncated=True),
    Case("unclosed nested", "tags", "<think>a<think>b</think>c", "abc", "", truncated=True),
    Case("opener alone", "tags", "<think>", "", "", truncated=True),
    Case("part of an opener alone", "tags", "<thin", "", "<thin"),
    Case("closed, no answer", "tags", "<think>a</think>\n\n", "a", ""),
    Case("opener missing", "tags", "hm, so\n</think>\n\nYes.", "hm, so", "Yes."),
    Case("opener missing, no sound of thought", "tags", "Wings. Honey.\n</think>\n\nYes.", "Wings. Honey.", "Yes."),
    Case("opener missing where none is awaited", "gemma-4", "Wings.\n<channel|>\n\nYes.", "", "Wings.\nYes.", misplaced=7),
    Case("opener missing, and never closed", "tags", "Wings. Honey.", "", "Wings. Honey."),
    Case("tag of no list", "tags", "<|START_THINKING|>hm<|END_THINKING|>Yes", "hm", "Yes"),
    Case("tag of no list with an attribute", "field", '<think time="3">hm</think>\nYes', "hm", "Yes"),
    Case("tag of no list in capitals", "deepseek-v3.1", "[MY_REASONING]hm[/MY_REASONING]Yes", "[MY_REASONING]hm[/MY_REASONING]Yes", "", True),
    Case("tag of no list with spaces", "tags", "<think >a</ think>b < c", "a", "b < c"),
    Case("tag of no list in the answer", "tags", "Yes <inner_thoughts>x</inner_thoughts>", "", "Yes <inner_thoughts>x</inner_thoughts>"),
    Case("tag of no list that is named", "unknown", "<inner_thoughts> is a tag.", "", "<inner_thoughts> is a tag."),
    Case("closer of no list", "unknown", "Wings.\n</inner_thoughts>\nYes", "Wings.", "Yes"),
    Case("fence of thinking", "unknown", "```thinking\nhm\n```\nYes", "hm", "Yes"),
    Case("fence of code", "unknown", "```python\nhm\n```\nYes", "", "```python\nhm\n```\nYes"),
    Case("stray closer after the thinking", "tags", "<think>a</think>b</think> c", "a", "b c"),
    Case("closer alone", "tags", "</think>Yes", "", "Yes"),
    Case("not quite tags", "tags", "<thi nk>a</ thi nk>b < c", "", "<thi nk>a</ thi nk>b < c"),
    Case("beginnings of tags", "tags", "<think><<think</</think></think>a", "<<think</", "a"),
    # quoted
    Case("inline code", "tags", "<think>a</think>Write `<think>` and `</think>`.", "a", "Write `<think>` and `</think>`."),
    Case("inline code, two backticks", "tags", "Use ``a ` <think>`` now", "", "Use ``a ` <think>`` now"),
    Case("fence", "tags", "See:\n```xml\n<think>x</think>\n```\nDone", "", "See:\n```xml\n<think>x</think>\n```\nDone"),
    Case("fence of tildes", "tags", "~~~\n<think>\n```\n<think>\n~~~\nok", "", "~~~\n<think>\n```\n<think>\n~~~\nok"),
    Case("fence that never ends", "tags", "```\n<think>a</think>", "", "```\n<think>a</think>"),
    Case("after a fence", "tags", "```\nx\n```\n<think>a</think>b", "a", "```\nx\n```\nb"),
    Case("after inline code", "tags", "`x` <think>a</think>b", "a", "`x` b"),
    Case("a lone backtick ends with its paragraph", "tags", "a ` b\n\n<think>c</think>d", "c", "a ` b\n\nd"),
    Case("answer that begins with code", "tags", "`<think>` opens", "", "`<think>` opens"),
    Case("fence on one line is a span", "tags", "```<think>``` <think>a</think>b", "a", "```<think>``` b"),
    Case("quotation in the thinking", "tags", "<think>a `</think>` and `<think>` b</think>c", "a `</think>` and `<think>` b", "c"),
    Case("code at the end of the thinking", "tags", "<think>a `b`</think>c", "a `b`", "c"),
    # other tags
    Case("granite", "granite", "Here is my thought process: hm. Here is my response: Yes", "hm.", "Yes"),
    Case("granite, short forms", "granite", "Here's my thought process:\nhm\n\nHere's my response:\nYes", "hm", "Yes"),
    Case("granite without thinking", "granite", "Here is my view. Here is my response: x", "", "Here is my view. Here is my response: x"),
    Case("granite 3.3", "granite", "<think>hm</think><response>Yes</response>", "hm", "Yes"),
    Case("harmony", "gpt-oss", f"{HARMONY}hm<|end|><|start|>assistant{FINAL}Yes<|return|>", "hm", "Yes"),
    Case("harmony, analysis twice", "gpt-oss", f"{HARMONY}a<|end|><|start|>assistant{HARMONY} b<|end|><|start|>assistant{FINAL}Yes", "a b", "Yes"),
    Case("harmony, no analysis", "gpt-oss", f"{FINAL}Yes<|return|>", "", "Yes"),
    Case("harmony, special tokens gone", "gpt-oss", "analysisWe look.assistantfinalYes", "We look.", "Yes"),
    Case("harmony, JSON answer", "gpt-oss", f"{HARMONY}hm<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{{}}<|return|>", "hm", "{}"),
    Case("Gemma 4", "gemma-4", "<|channel>thought\nhm\n<channel|>Yes", "hm", "Yes"),
    Case("Gemma 4, nothing thought", "gemma-4", "<|channel>thought\n<channel|>Yes", "", "Yes"),
    Case("MiniMax-M3", "minimax-m3", "hm\n</mm:think>\n\nYes", "hm", "Yes"),
    Case("unknown model, opener missing", "unknown", "Okay, so bees fly.\n</think>\n\nYes.", "Okay, so bees fly.", "Yes."),
    Case("unknown model that sounds so", "unknown", "Okay, so here it is: yes.", "", "Okay, so here it is: yes."),
    Case("unknown model that names the tag", "unknown", "Well, a </think> tag ends it.", "", "Well, a </think> tag ends it."),
    Case("unknown model, tag named while it thinks", "unknown", "Hmm, the </think> tag.\n</think>\nYes", "Hmm, the </think> tag.", "Yes"),
    Case("unknown model with a field", "unknown", ((T, "Okay, so "), (F, "hm"), (T, "yes.")), "hm", "Okay, so yes."),
    Case("field within a block in doubt", "unknown", ((T, "<think> is a tag"), (F, "hm")), "hm", "<think> is a tag"),
    Case("named in a sentence", "tags", "A <think> tag, and (</think>).", "", "A <think> tag, and (</think>)."),
    Case("named at the end", "tags", "It ends with </think>", "", "It ends with </think>"),
    Case("opener without a closer", "tags", "Use <think>like this.", "", "Use <think>like this."),
    Case("opener on a line of its own", "tags", "One\n<think>\nTwo", "", "One\n<think>\nTwo"),
    Case("closer of a field's answer", "field", ((F, "hm"), (T, "One\n</think>\nTwo")), "hm", "One\n</think>\nTwo"),
    Case("block in a field's answer", "field", ((F, "hm"), (T, "One <think>b</think> two")), "hm", "One <think>b</think> two"),
    Case("two openers and no more", "field", "<think><think>", "<think>", "", True),
    Case("begin_of_thought", "sky-t1", "<|begin_of_thought|>\nhm\n<|end_of_thought|>\n\n<|begin_of_solution|>\nYes<|end_of_solution|>", "hm", "Yes"),
    Case("reasoning tags", "unknown", "<reasoning>hm</reasoning>Yes", "hm", "Yes"),
    Case("reasoning tags in the answer", "unknown", "Yes <reasoning>x</reasoning>", "", "Yes <reasoning>x</reasoning>"),
    Case("another kind inside the thinking", "unknown", "<think>a <reasoning> b</think>Yes", "a <reasoning> b", "Yes"),
    Case("magistral", "magistral", "[THINK]hm[/THINK]Yes [x]", "hm", "Yes [x]"),
    # text
    Case("characters of several bytes", "tags", "<think>größer 水</think>Grün 🌱", "größer 水", "Grün 🌱"),
    Case("whitespace inside stays", "tags", "<think>a\n\n  b</think>c\n\n  d", "a\n\n  b", "c\n\n  d"),
    Case("carriage returns", "tags", "<think>\r\na\r\n</think>\r\nb\r\n", "a", "b\r\n"),
    Case("comparison signs", "tags", "<think>a<b</think>1 < 2 > 0", "a<b", "1 < 2 > 0"),
]  # fmt: skip


def parse(profile: str, deltas: list[tuple[str, str]]) -> tuple[str, str, ReasoningParser]:
    parser = ReasoningParser(PROFILES[profile])
    pieces = []
    for field, text in deltas:
        pieces += parser.feed(**{field: text})  # type: ignore[arg-type]
    truncated = parser.truncated
    pieces += parser.finish()
    # a closer that is held back, because a backtick after it would make it a quotation, ends it at last
    assert truncated or not parser.truncated
    assert all(piece.text for piece in pieces)
    texts = {name: "".join(p.text for p in pieces if p.channel == name) for name in (F, T)}
    return texts[F], texts[T], parser


def cut(parts: tuple[tuple[str, str], ...], cuts: set[int]) -> list[tuple[str, str]]:
    """The stream with a border at each of these characters, and where the field changes."""
    deltas, at = [], 0
    for field, text in parts:
        borders = [0, *sorted(c - at for c in cuts if at < c < at + len(text)), len(text)]
        deltas += [(field, text[a:b]) for a, b in itertools.pairwise(borders)]
        at += len(text)
    return deltas


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_under_every_cut(case: Case) -> None:
    size = sum(len(text) for _, text in case.parts)
    chance = random.Random(case.name)
    cuts: list[set[int]] = [{at} for at in range(size + 1)]
    cuts += [set(chance.sample(range(size + 1), chance.randint(0, size))) for _ in range(RANDOM_CUTS)]
    cuts.append(set(range(size)))
    for borders in cuts:
        reasoning, content, parser = parse(case.profile, cut(case.parts, borders))
        found = (reasoning, content, parser.truncated, parser.misplaced)
        assert found == (case.reasoning, case.content, case.truncated, case.misplaced), sorted(borders)


def test_there_are_enough_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


SNIPPETS = st.sampled_from(
    [
        *("<think>", "</think>", "<thi", "nk>", "</", "<", ">", "`", "``", "```", "~~~", "\n", "\n\n", " ", "a", "word"),
        *("<response>", "Here is my thought process:", "Here is my response:", HARMONY, FINAL, "<|end|>", "[THINK]"),
        *("analysis", "assistantfinal", "é", "水", "\r", "\t"),
    ]
)  # fmt: skip
STREAMS = st.lists(
    st.tuples(st.sampled_from([T, T, T, F]), st.lists(SNIPPETS, max_size=12).map("".join) | st.text(max_size=20)),
    max_size=6,
)  # fmt: skip


def compact(text: str) -> str:
    return "".join(text.split())


@pytest.mark.soak
@settings(max_examples=rounds(100, 2000), deadline=None)
@given(st.sampled_from(sorted(PROFILES)), STREAMS, st.randoms(use_true_random=False))
def test_nothing_is_lost_or_invented_and_cuts_do_not_matter(
    profile: str, stream: list[tuple[str, str]], chance: random.Random
) -> None:
    parts = tuple(stream)
    size = sum(len(text) for _, text in parts)
    whole = parse(profile, list(parts))[:2]
    borders = set(chance.sample(range(size + 1), chance.randint(0, size)))
    assert parse(profile, cut(parts, borders))[:2] == whole
    tags = sorted(compile_tags(PROFILES[profile]).leading.tags, key=len, reverse=True)
    left = compact("".join(whole)), compact("".join(text for _, text in parts))
    if profile == "none":
        assert sorted(left[0]) == sorted(left[1])
        return
    given_counts = {char: left[1].count(char) for char in set(left[1])}
    for char in set(left[0]):
        assert left[0].count(char) <= given_counts.get(char, 0), "a character was invented"
    outside = set(
        "".join([*tags, "[THINK]", "<think>", "</think>"])
    )  # known by their look, in any list or none
    for char, count in given_counts.items():
        if char not in outside:
            assert left[0].count(char) == count, "a character was lost"


@pytest.mark.soak
@settings(max_examples=rounds(50, 1000), deadline=None)
@given(st.sampled_from(sorted(PROFILES)), st.lists(SNIPPETS, max_size=15).map("".join))
def test_without_tags_everything_comes_through_in_order(profile: str, text: str) -> None:
    for tag in sorted(compile_tags(PROFILES[profile]).leading.tags, key=len, reverse=True):
        while tag in text:
            text = text.replace(tag, "")
    assume(match_foreign(text.lstrip(), 0) is None)
    reasoning, content, _ = parse(profile, [(T, text)])
    assert compact(reasoning + content) == compact(text)


@pytest.mark.soak
@settings(max_examples=rounds(50, 1000), deadline=None)
@given(st.lists(SNIPPETS, max_size=15).map("".join), st.integers(0, 60))
def test_what_has_come_out_depends_on_what_has_gone_in_alone(text: str, at: int) -> None:
    """So that a field delta in between lands at the same place however the text was cut."""
    seen = []
    for step in (len(text[:at]) or 1, 1):
        parser = ReasoningParser(PROFILES["tags"])
        pieces = [p for i in range(0, at, step) for p in parser.feed(content=text[:at][i : i + step])]
        seen.append(["".join(p.text for p in pieces if p.channel == name) for name in (F, T)])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("profile", PROFILES)
def test_no_tag_hides_in_another(profile: str) -> None:
    tags = compile_tags(PROFILES[profile])
    for found in (tags.answering.tags, *(each.tags for each in tags.thinking.values())):
        assert not [(a, b) for a in found for b in found if a != b and a in b]
    leading = tags.leading.tags
    assert not [(a, b) for a in leading for b in leading if a != b and b.startswith(a)]


def test_forced_close() -> None:
    parser = ReasoningParser(PROFILES["deepseek-r1"])
    assert [p.text for p in parser.feed(content="hm <think> more ")] == ["hm", "  more"]
    assert parser.truncated
    assert parser.closer == "</think>"
    assert parser.close() == []
    assert not parser.truncated
    assert [(p.channel, p.text) for p in parser.feed(content="\n\nYes")] == [(T, "Yes")]


@pytest.mark.parametrize(
    "unit",
    ["word ", " ", "\n", "`", "<", "<think>", "</think>", "```\n", "<think>a</think>", "a`b` "],
)
@pytest.mark.parametrize("size", [None, 1000])
def test_time_is_linear(unit: str, size: int | None) -> None:
    """Ten times the text takes at most forty times as long, for a machine that does other things too."""

    def seconds(repeats: int) -> float:
        text = "<think>" + unit * repeats
        chunks = [text[at : at + (size or len(text))] for at in range(0, len(text), size or len(text))]
        parser = ReasoningParser(PROFILES["tags"])
        gc.disable()
        start = time.process_time()
        for chunk in chunks:
            parser.feed(content=chunk)
        parser.finish()
        taken = time.process_time() - start
        gc.enable()
        return taken

    small = max(min(seconds(2_000) for _ in range(3)), 1e-3)
    assert min(seconds(20_000) for _ in range(3)) < 40 * small


def test_settling_decides_what_was_held_back() -> None:
    parser = ReasoningParser(PROFILES["deepseek-r1"])
    assert [p.text for p in parser.feed(content="so it is `</think>")] == ["so it is `"]
    assert parser.truncated
    assert parser.settle() == []
    assert not parser.truncated
    assert parser.close() == []
    assert [(p.channel, p.text) for p in parser.feed(content="Yes")] == [(T, "Yes")]
