"""Identifiers by their shape, and when two of them are one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.identifiers import find_identifiers, holds, looks_like, make_key, may_hold, read_keys


def names(question: str, passage: str) -> bool:
    """Whether the passage holds the question's first identifier."""
    identifier, *_ = find_identifiers(question)
    return holds(identifier, passage, read_keys(passage))


@pytest.mark.parametrize(
    ("question", "texts"),
    [
        ("What is the torque of PPR-9087?", ["PPR-9087"]),
        ("torque ppr9087", ["ppr9087"]),
        ("What is the torque of PPR 9087?", ["PPR 9087"]),
        ("E-4711", ["E-4711"]),
        ("What does 0x80070005 mean?", ["0x80070005"]),
        ("Is C++ supported? And C#, F#, .NET?", ["C++", "C#", "F#", ".NET"]),
        ("What changed in v2.3.10?", ["v2.3.10"]),
        ("Does RFC 2119 say MUST?", ["RFC 2119", "MUST"]),
        ("Compare PPR-9087 and PPR-9088.", ["PPR-9087", "PPR-9088"]),
        ("Compare PPR-9087/PPR-9088", ["PPR-9087", "PPR-9088"]),
        ("the seal (AB/123/C) of the pump", ["AB/123/C"]),
        ("What is the order number 90871?", ["90871"]),
        ("error 4711", ["4711"]),
        ("PPR\u20119087 or PPR\u20139087", ["PPR-9087"]),
        ("trq_max_17 in config.yaml", ["trq_max_17"]),
        ("the address 192.168.10.4", ["192.168.10.4"]),
        ("Where is 00:1A:2B:3C:4D:5E?", ["00:1A:2B:3C:4D:5E"]),
        ("Was kostet die Pumpe KX-77\u3002", ["KX-77"]),
        ("PPR-9087\u306e\u30c8\u30eb\u30af\u306f", ["PPR-9087"]),
        ("What does NATO do?", ["NATO"]),
        ("Is CVE-2024-3094 mended in 3.5.0-beta.2?", ["CVE-2024-3094", "3.5.0-beta.2"]),
        ("the test of GB/T 2423.1", ["GB/T 2423.1"]),
        ("MIL-STD-810G or ISO 9001:2015", ["MIL-STD-810G", "ISO 9001"]),
        ("the book 978-3-16-148410-0", ["978-3-16-148410-0"]),
        ("part number 00012", ["00012"]),
        ("the section (4.2.1) on x86_64", ["4.2.1", "x86_64"]),
    ],
)
def test_the_identifiers_of_a_question(question, texts):
    assert [identifier.text for identifier in find_identifiers(question)] == texts


@pytest.mark.parametrize(
    "question",
    [
        "When did the war of 1812 end, in 1815 or in the 1820s?",
        "How heavy is a 20-year-old, 3-dimensional, 10kg or 12 V device at 2.5 mm?",
        "Who was born between 1990-1995 or on 2024-05-12?",
        "How many of the 10,000 people, or 5000, came in the 19th century?",
        "Is an A4 page 3D?",
        "Is it open 24/7, since 9/11 or 1914-1918?",
        "How far did Apollo 11 go with a Boeing 747?",
        "WHAT IS THE NAME OF THIS SHIP?",
        "What is e.g. a mid-1990s pop song?",
        "Does covid-19 spread at mach-2?",
    ],
)
def test_years_quantities_and_prose_are_none(question):
    assert [identifier.text for identifier in find_identifiers(question)] == []


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("PPR-9087", "Part PPR9087 (old), torque 35 Nm"),
        ("PPR9087", "see (PPR-9087)."),
        ("ppr 9087 ppr9087", "PPR_9087: 35Nm"),
        ("PPR 9087", "PPR/9087"),
        ("PPR-9087", "Part\u00a0PPR\u20129087's torque"),
        ("PPR-9087", "PPR\u00ad-90\u200b87"),
        ("PPR-9087", "the row id=PPR-9087;torque=35"),
        ("PPR-9087", "PPR-9086/PPR-9087/PPR-9088"),
        ("E-4711", "E-4711.md\nThe pump does not start."),
        ("E-4711", "\u30a8\u30e9\u30fcE-4711\u306f\u3001\u30dd\u30f3\u30d7"),
        ("4711", "Error E-4711 is shown"),
        ("v2.3.10", "Version 2.3.10 mends it"),
        ("2.3.10", "since v2.3.10"),
        ("0x80070005", "code 0X80070005: access denied"),
        ("C++", "Written in C++."),
        ("C++17", "needs C++17, no less"),
        ("C#", "C# and Java"),
        (".NET", "the .NET runtime"),
        ("RFC 2119", "as in RFC-2119"),
        ("RFC2119", "as in RFC 2119"),
        ("Q3-2024", "the figures of Q3 2024"),
        ("iPhone15", "an iPhone 15 and its case"),
        ("Python3.12", "needs Python 3.12"),
        ("NATO", "the N.A.T.O. treaty"),
        ("AT&T", "by AT&T in 1990"),
        ("M8x20mm", "screw M8x20 mm"),
        ("M8x20", "screw M8x20mm"),
        ("GB/T-2423", "GB/T 2423 GB/T-2423"),
    ],
)
def test_one_identifier_however_it_is_written(question, passage):
    assert names(question, passage)


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("PPR-9087", "PPR-9078 has 35 Nm"),
        ("PPR-9087", "PPR-90871"),
        ("PPR-9087", "XPPR-9087"),
        ("PPR-9087", "PPR-9087-B"),
        ("PPR-9087", "PPR and 9087"),
        ("v2.3.10", "v2.3.1 and v23.10"),
        ("2.3.10", "2.31.0"),
        ("C++", "C is a language"),
        ("C#", "C++"),
        ("4711", "the number 47110"),
        ("WHO does it", "who does it"),
        ("NATO", "a nato"),
    ],
)
def test_another_identifier_is_another(question, passage):
    assert not names(question, passage)


@pytest.mark.parametrize(
    ("question", "key", "alike"),
    [
        ("PPR-9087", "ppr9088", True),
        ("PPR-9087", "ppq9087", True),
        ("PPR-9087", "ppr90871", True),
        ("PPR-9087", "abc1234", False),
        ("PPR-9087", "1234", False),
        ("0x80070005", "0x80070006", True),
        ("v2.3.10", "2.3.11", True),
        ("v2.3.11", "2.3.1", True),
        ("CVE-2024-3094", "cve2024.3095", True),
        ("v2.3.11", "4.3.11", False),
        ("192.168.10.4", "192.168.10.5", True),
        ("90871", "90872", True),
        ("90871", "12345", False),
        ("E-4711", "e4711", False),
        ("PPR-9087", "9087", False),
        ("Q3-2024", "q3", False),
    ],
)
def test_what_is_easily_taken_for_another(question, key, alike):
    (identifier,) = find_identifiers(question)
    assert looks_like(identifier, key) is alike


@given(st.text(max_size=200))
def test_any_text_is_read(text):
    assert len(find_identifiers(text)) <= 8
    assert all(key == make_key(key) or key for key in read_keys(text))


@given(st.from_regex(r"[A-Z]{2,4}-[1-9][0-9]{3,5}", fullmatch=True), st.sampled_from("-_ /\u2011\u2013"))
def test_the_separator_does_not_matter(code, separator):
    letters, digits = code.split("-")
    if 1000 <= int(digits) <= 2100:  # noqa: RUF100
        return
    assert names(code, f"The part {letters}{separator}{digits} is red.")
    assert names(f"{letters}{digits}", f"The part {letters}{separator}{digits} is red.")


def test_one_of_a_series_by_years_is_no_strict_one():
    strict = {one.text: one.strict for one in find_identifiers("Q3-2024, UEFA 2008, CVE-2024-3094, PPR-1987")}
    assert strict == {"Q3-2024": False, "UEFA 2008": False, "CVE-2024-3094": True, "PPR-1987": True}


@pytest.mark.parametrize(
    ("question", "passage", "other"),
    [
        ("M8\u00d71.25", "M8x1.25 bolt", "M8x1.5 bolt"),
        ("part 10-32-4567", "screw 10-32-4567", "screw 10-32-4576"),
        ("item 12345678?", "item 1234-5678", "item 1234-5679"),
        ("item 1234-5678?", "item 12345678", "item 12345679"),
        ("What does error 404 mean?", "404 Not Found", "405 Method Not Allowed"),
        ("HTTP 404", "404 Not Found", "405 Method Not Allowed"),
        ("Fehler 311", "Fehler 311: Druck", "Fehler 312: Druck"),
        ("SQLSTATE 42P01", "42P01 undefined table", "42P02 undefined parameter"),
        (
            "\u0413\u041e\u0421\u0422 7798-70",
            "\u0413\u041e\u0421\u0422 7798-70",
            "\u0413\u041e\u0421\u0422 7798-71",
        ),
        ("fe80::1", "the link fe80::1", "the link fe80::2"),
        ("\u0661\u0662\u0663\u0664\u0665", "item 12345", "item 12346"),
        ("\uff30\uff30\uff32\uff0d\uff19\uff10\uff18\uff17", "PPR-9087", "PPR-9807"),
        ("XK-200A", "XK-200A pump", "XK-200V pump"),
        ("LM358N", "LM358N amplifier", "LM358A amplifier"),
        ("00:1A:2B:3C:4D:5E", "00:1A:2B:3C:4D:5E", "00:1A:2B:3C:4D:5F"),
        ("LM358", "LM358N amplifier", "LM324N amplifier"),
    ],
)
def test_one_is_found_however_it_is_written_and_its_neighbour_is_not(
    question: str, passage: str, other: str
) -> None:
    assert names(question, passage)
    assert not names(question, other)
    [identifier, *_] = find_identifiers(question)
    assert may_hold(identifier, passage)
