"""Questions out of one's own documents: what is drawn, read, kept, replaced and written."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pipelines.evaluation.building.absent import Vocabulary, substitute
from pipelines.evaluation.building.builder import count_unanswerable, order_passages
from pipelines.evaluation.building.drafts import Draft, draft_messages, find_fault, is_supported, parse_draft
from pipelines.evaluation.building.lines import Dropped, Files, Made, Source, count_reasons
from pipelines.evaluation.datasets import load_dataset
from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage

TEXT = (
    "The long brick weighs 2.5 kg. Ann Lee laid the first one at Dunmore in 1931; BRICK_URL names the store."
)
OPTIONS = {"collection": "c", "model": "m", "seed": "1", "unanswerable": "0.25"}


def passage(document: str = "bricks.md", index: int = 0, text: str = TEXT) -> Passage:
    return Passage(id=f"{document}-{index}", document_id=document, text=text, title=document, index=index)


def made(number: int, question: str = "Who laid it?", **said) -> Made:
    fields = {"answer": "Ann Lee", "answerable": True, **said}
    meta = {**OPTIONS, "attempt": str(number)}
    return Made(
        id=f"1-{number}",
        question=question,
        group="bricks.md",
        source=Source.of(passage()),
        meta=meta,
        **fields,
    )


def dropped(attempt: int, reason: str = "unreadable") -> Dropped:
    return Dropped(attempt=attempt, reason=reason, passage="p", document="d", reply="?", meta=OPTIONS)


def test_documents_take_turns_whatever_their_length() -> None:
    passages = [passage("long.md", index) for index in range(20)] + [passage("short.md"), passage("mid.md")]
    order = order_passages(passages, seed=1)
    assert {each.document_id for each in order[:3]} == {"long.md", "short.md", "mid.md"}
    assert sorted(each.id for each in order) == sorted(each.id for each in passages)
    assert order_passages(passages[::-1], seed=1) == order
    assert order_passages(passages, seed=2) != order


def test_unanswerable_ones_are_spread_evenly() -> None:
    assert [count_unanswerable(kept, 0.25) for kept in (0, 3, 4, 7, 8, 100)] == [0, 0, 1, 1, 2, 25]
    assert count_unanswerable(10, 0.1) == 1
    assert count_unanswerable(5, 1) == 5


@pytest.mark.parametrize(
    "reply",
    [
        "Question: Who laid the first brick?\nAnswer: Ann Lee",
        "**Question:** Who laid the first brick?\n**Answer:** Ann Lee",
        'Sure!\n\nQ1: "Who laid the first brick?"\nA1: `Ann Lee`\n\nQuestion: Another?\nAnswer: no',
        "- question: Who laid  the first brick?\n- answer:  Ann Lee  ",
    ],
)
def test_a_reply_is_read_in_the_forms_that_models_write(reply: str) -> None:
    assert parse_draft(reply) == Draft("Who laid the first brick?", "Ann Lee")


@pytest.mark.parametrize(
    "reply", ["", "Who laid it? Ann Lee.", "Answer: Ann Lee\nQuestion: Who?", "Question: Who?"]
)
def test_a_reply_without_both_is_unreadable(reply: str) -> None:
    assert parse_draft(reply) is None


def test_earlier_questions_are_in_the_prompt() -> None:
    *_, last = draft_messages(passage(), ["Who laid the first brick?"])
    assert TEXT in last.text
    assert "Do not ask again: Who laid the first brick?" in last.text


@pytest.mark.parametrize(
    ("question", "answer", "wrong"),
    [
        ("How much does the long brick weigh?", "2.5 kg", None),
        ("How much does the long brick weigh?", "kg 2.50", None),
        ("How much does the long brick weigh?", "25 kg", "answer not in the passage"),
        ("How much does the long brick weigh?", "2.5 pounds", "answer not in the passage"),
        ("How much does the long brick weigh", "2.5 kg", "not a question"),
        ("Who?", "Ann Lee", "not a question"),
        ("Who laid the brick in the passage?", "Ann Lee", "needs the text"),
        ("What brick is mentioned at the store?", "long brick", "needs the text"),
        ("Who laid the first one at Dunmore?", "Ann Lee laid it", "answer not in the passage"),
        ("Where did Ann Lee lay the first one?", "Ann Lee", "answer in the question"),
        ("Which river flows through northern Spain?", "Dunmore", "off the passage"),
        ("Who laid the first one at Dunmore?", " ".join(["word"] * 16), "answer too long"),
        ("Who laid the first one at Dunmore?", "...", "answer not in the passage"),
    ],
)
def test_what_is_wrong_with_a_draft(question: str, answer: str, wrong: str | None) -> None:
    assert find_fault(Draft(question, answer), passage()) == wrong


def test_numbers_are_compared_as_numbers() -> None:
    assert is_supported("1,000 kg", "It holds 1000 kg.")
    assert not is_supported("-5", "It rose by 5.")


@pytest.mark.parametrize(
    ("question", "old"),
    [
        ("Who did Ann Lee meet?", "Ann Lee"),
        ("What does BRICK_URL name?", "BRICK_URL"),
        ("What was laid in 1931?", "1931"),
        ("Dunmore is where?", None),  # the first word
        ("How much does the long brick weigh?", None),
        ("Who met Zebulon?", None),  # nobody whom the documents know
    ],
)
def test_a_name_a_number_or_an_identifier_is_replaced_by_one_that_no_passage_holds(
    question: str, old: str | None
) -> None:
    vocabulary = Vocabulary([TEXT])
    found = substitute(question, vocabulary, seed=5)
    if old is None:
        assert found is None
        return
    assert found is not None
    assert found.old == old
    assert found.question == question.replace(old, found.new)
    assert found.new.lower() not in TEXT.lower()
    assert substitute(question, vocabulary, seed=5) == found


def test_names_that_the_collection_holds_are_not_invented() -> None:
    from pipelines.evaluation.building.absent import INVENTED  # noqa: PLC0415 - beside its use

    texts = [TEXT, " ".join(INVENTED[1:])]
    found = substitute("Where is Dunmore today?", Vocabulary(texts), seed=1)
    assert found is not None
    assert found.new == INVENTED[0]


def test_a_line_cut_short_by_a_kill_is_taken_off(tmp_path: Path) -> None:
    files = Files(tmp_path / "q.jsonl")
    assert not files.exist
    files.keep(made(0))
    files.drop(dropped(1))
    with files.out.open("ab") as file:
        file.write(b'{"id": "1-2", "quest')
    assert files.exist
    kept, lost = files.read(OPTIONS)
    assert ([line.id for line in kept], [line.attempt for line in lost]) == (["1-0"], [1])
    files.keep(made(2, "And then?"))
    assert [line.id for line in files.read(OPTIONS)[0]] == ["1-0", "1-2"]
    assert count_reasons(lost) == {"unreadable": 1}


@pytest.mark.parametrize(("name", "value"), [("seed", "2"), ("model", "other"), ("collection", "d")])
def test_a_file_of_other_options_is_not_gone_on_with(tmp_path: Path, name: str, value: str) -> None:
    files = Files(tmp_path / "q.jsonl")
    files.drop(dropped(0))
    with pytest.raises(InvalidRequest, match=name):
        files.read({**OPTIONS, name: value})


def test_the_file_loads_without_what_the_review_dropped(tmp_path: Path) -> None:
    files = Files(tmp_path / "q.jsonl")
    files.keep(made(0))
    files.keep(made(1, "Who is Velmora?", answer=None, answerable=False))
    files.keep(made(2, "Why?"))
    lines = [orjson.loads(line) for line in files.out.read_bytes().splitlines()]
    lines[2]["review"] = "drop"
    files.out.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    items = load_dataset(str(files.out)).items
    assert [(item.kind, item.answerable, item.group) for item in items] == [
        ("exact", True, "bricks.md"),
        ("abstain", False, "bricks.md"),
    ]
    assert items[0].meta["document"] == "bricks.md"
    lines[0]["review"] = "perhaps"
    files.out.write_bytes(orjson.dumps(lines[0]))
    with pytest.raises(InvalidRequest, match="review"):
        load_dataset(str(files.out))
    lines[0]["review"] = "drop"
    files.out.write_bytes(orjson.dumps(lines[0]))
    with pytest.raises(InvalidRequest, match="dropped by `review`"):
        load_dataset(str(files.out))
