"""Loaders on small files of our own in the formats of the public sets, and on the sets themselves where they are."""

from __future__ import annotations

import json
import sys

import pytest

from pipelines.evaluation.analysis.scores import score_text
from pipelines.evaluation.datasets import dataset_names, load_dataset, sets
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.datasets.registry import _named_datasets
from pipelines.evaluation.reading.expressions import expression_matches, split_alternatives
from pipelines.evaluation.reading.text import contains_reference
from services.core.errors import InvalidRequest, NotFound


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAGLINE_EVALUATION_DATA", raising=False)


def write(path, *rows) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return str(path)


def test_own_questions(tmp_path) -> None:
    file = write(
        tmp_path / "mine.jsonl",
        {
            "question": "How heavy is the brick?",
            "answer": 2.5,
            "passages": ["The brick weighs 2.5 kg."],
            "group": "bricks",
        },
        "",
        {"question": "Who laid it?", "answer": ["Ann", "Ann Lee"], "id": "who"},
        {"question": "Why?"},
        {"question": "When?", "answerable": False, "passages": [{"id": "p", "title": "T", "text": "Once."}]},
        {"question": "Which?", "answer": "red", "options": ["red", "blue"]},
        {"question": "Opening hours?", "answer": "9 to 5"},
        {"question": "How many?", "answer": "1,200"},
    )
    items = load_dataset(file).items
    assert [(item.id, item.kind, item.answers) for item in items] == [
        ("line-1", "numeric", ("2.5",)),
        ("who", "exact", ("Ann", "Ann Lee")),
        ("line-4", "free", ()),
        ("line-5", "abstain", ()),
        ("line-6", "choice", ("red",)),
        ("line-7", "exact", ("9 to 5",)),
        ("line-8", "numeric", ("1,200",)),
    ]
    assert items[0].group == "bricks"
    assert items[0].passages[0].text == "The brick weighs 2.5 kg."
    assert items[4].prompt == "Which?\nOptions:\n(A) red\n(B) blue"
    assert [passage.id for passage in load_dataset(file).corpus] == ["line-1-1", "p"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (['{"question": "a"}', "{not json"], r"line 2: not JSON"),
        (['{"question": "a"}', "", '{"answer": "b"}'], r"line 3: no question"),
        (['{"question": "  "}'], r"line 1: no question"),
        (["[1]"], r"line 1: no question"),
        (
            ['{"question": "a", "id": "x"}', '{"question": "b", "id": "x"}'],
            r"line 2: the id 'x' is that of line 1",
        ),
        (['{"question": "a", "anwser": "b"}'], r"line 1: `anwser`"),
        (['{"question": "a", "answer": "b", "answerable": false}'], r"line 1: an `answer` to a question"),
        (['{"question": "a", "kind": "numeric"}'], r"line 1: the kind 'numeric' is compared"),
        (
            ['{"question": "a", "kind": "numeric", "answer": "b"}'],
            r"line 1: the kind 'numeric' needs a number",
        ),
        (['{"question": "a", "answer": "c", "options": ["b"]}'], r"line 1: the answer 'c' is none"),
        (['{"question": "a", "passages": [{"text": ""}]}'], r"line 1: `passages"),
        ([""], r"has no questions"),
    ],
)
def test_own_questions_that_are_wrong_name_the_line(tmp_path, rows, message) -> None:
    with pytest.raises(InvalidRequest, match=message):
        load_dataset(write(tmp_path / "mine.jsonl", *rows))


def test_what_is_not_there_says_what_there_is(tmp_path, nowhere) -> None:
    with pytest.raises(NotFound, match="no file"):
        load_dataset(str(tmp_path / "absent.jsonl"))
    with pytest.raises(NotFound, match=r"choose one of .*logic"):
        load_dataset("nonsense")
    with pytest.raises(NotFound, match="RAGLINE_EVALUATION_DATA"):
        load_dataset("gsm8k")
    with pytest.raises(NotFound, match="expected in the folder"):
        load_dataset("gsm8k", path=tmp_path / "nothing")
    with pytest.raises(InvalidRequest, match="no family"):
        load_dataset("logic:chess")


@pytest.mark.parametrize("n", [0, -1, 191])
def test_more_questions_than_there_are_is_refused(n: int) -> None:
    with pytest.raises(InvalidRequest, match="it has 190"):
        load_dataset("logic", n=n)


def test_a_sample_is_the_seed_s_and_keeps_the_order(tmp_path) -> None:
    file = write(tmp_path / "many.jsonl", *({"question": f"q{number}"} for number in range(100)))
    one, again, other = (load_dataset(file, n=10, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    numbers = [int(item.id.removeprefix("line-")) for item in one.items]
    assert numbers == sorted(numbers)


def test_gsm8k_takes_the_number_after_its_mark(tmp_path) -> None:
    write(tmp_path / "test.jsonl", {"question": "How much?", "answer": "1 + 1 = 2\n#### 1,002"})
    assert load_dataset("gsm8k", path=tmp_path).items[0].answers == ("1002",)
    write(tmp_path / "test.jsonl", {"question": "How much?", "answer": "2"})
    with pytest.raises(InvalidRequest, match="####"):
        load_dataset("gsm8k", path=tmp_path)


def test_bbh_reads_lettered_plain_and_implied_options(tmp_path) -> None:
    for task, text, target in (
        ("dates", "Which day?\nOptions:\n(A) Monday\n(B) Tuesday", "(B)"),
        ("fallacies", "Is it?\nOptions:\n- valid \n- invalid", "invalid"),
        ("web_of_lies", "Question: Does she lie?", "No"),
    ):
        (tmp_path / f"{task}.json").write_text(
            json.dumps({"canary": "CANARY", "examples": [{"input": text, "target": target}]})
        )
    dataset = load_dataset("bbh", path=tmp_path)
    assert [(item.question, item.options, item.answers) for item in dataset.items] == [
        ("Which day?", ("Monday", "Tuesday"), ("Tuesday",)),
        ("Is it?", ("valid", "invalid"), ("invalid",)),
        ("Question: Does she lie?", ("Yes", "No"), ("No",)),
    ]
    assert dataset.notice == "CANARY"
    assert len(load_dataset("bbh:dates", path=tmp_path).items) == 1


@pytest.fixture
def squad(tmp_path):
    """A file in SQuAD's own format: ten passages, each with a question it answers and one it does not."""
    people = ["Ada", "Bea", "Cleo", "Dora", "Emil", "Fritz", "Gina", "Hugo", "Ines", "Jan"]
    paragraphs = [
        {
            "context": f"The house number {number} was built by {name} in 19{number:02}.",
            "qas": [
                {
                    "id": f"a{number}",
                    "question": "Who built it?",
                    "answers": [{"text": name}],
                    "is_impossible": False,
                },
                {"id": f"i{number}", "question": "Who bought it?", "answers": [], "is_impossible": True},
            ],
        }
        for number, name in enumerate(people)
    ]
    file = tmp_path / "dev-v2.0.json"
    file.write_text(json.dumps({"data": [{"title": "Houses", "paragraphs": paragraphs}]}))
    return file


def test_squad_s_own_format(squad) -> None:
    dataset = load_dataset("squad2", path=squad)
    one, two = dataset.items[:2]
    assert (one.kind, one.answers, one.answerable, one.group) == ("exact", ("Ada",), True, one.passages[0].id)
    assert (two.kind, two.answers, two.answerable, two.group) == ("abstain", (), False, one.group)
    assert len(dataset.corpus) == 10
    assert len(load_dataset("squad2:answerable", path=squad).items) == 10


def test_noise_is_drawn_from_others_and_holds_no_answer(squad) -> None:
    plain, noisy = load_dataset("squad2", path=squad), load_dataset("squad2+noise3", path=squad, seed=5)
    assert noisy == load_dataset("squad2+noise3", path=squad, seed=5)
    assert noisy != load_dataset("squad2+noise3", path=squad, seed=6)
    for before, after in zip(plain.items, noisy.items, strict=True):
        assert len(after.passages) == 4
        assert before.passages[0] in after.passages
        others = [passage for passage in after.passages if passage != before.passages[0]]
        assert not any(
            before.answers and contains_reference(passage.text, before.answers) for passage in others
        )
    assert {item.passages.index(plain.items[at].passages[0]) for at, item in enumerate(noisy.items)} >= {0, 3}
    with pytest.raises(InvalidRequest, match="ask for fewer"):
        load_dataset("squad2+noise50", path=squad)


def test_absent_leaves_nothing_that_answers(squad) -> None:
    for item in load_dataset("squad2:answerable+absent2", path=squad).items:
        assert (item.kind, item.answerable, len(item.passages)) == ("abstain", False, 2)
        assert score_text(item, "I don't know.")["correct"] == 1.0
        assert score_text(item, "Ada built it.")["correct"] == 0.0


def test_a_counterfactual_states_another_answer(squad) -> None:
    dataset = load_dataset("squad2+counterfactual", path=squad)
    assert len(dataset.items) == 10
    for item in dataset.items:
        false = item.meta["counterfactual"]
        assert false != item.answers[0]
        assert false in item.passages[0].text
        assert item.answers[0] not in item.passages[0].text


def test_noise_needs_passages() -> None:
    with pytest.raises(InvalidRequest, match="no passages"):
        load_dataset("logic+noise2")
    with pytest.raises(InvalidRequest, match="word for word"):
        load_dataset("logic+counterfactual")


def test_missing_premises_come_with_their_whole_twins(tmp_path) -> None:
    (tmp_path / "gsm8k.json").write_text(
        json.dumps(
            [{"question": "2 at 3 each?", "answer": "6\n#### 6", "insufficient_question": "Some at 3 each?"}]
        )
    )
    missing, whole = load_dataset("mip_overthinking", path=tmp_path).items
    assert (missing.kind, missing.answerable, whole.kind, whole.answers) == (
        "abstain",
        False,
        "numeric",
        ("6",),
    )
    assert missing.group == whole.group
    with pytest.raises(InvalidRequest, match="gsm8k or formula"):
        load_dataset("mip_overthinking:math", path=tmp_path)


@pytest.mark.parametrize(
    ("item", "answer", "expected"),
    [
        ({"kind": "numeric", "answers": ("5",)}, "So it is 5.", 1.0),
        ({"kind": "numeric", "answers": ("5",)}, "", 0.0),
        ({"kind": "choice", "answers": ("b",), "options": ("a", "b")}, "(B)", 1.0),
        ({"kind": "expression", "answers": ("2^n",)}, "It is $2^{n}$.", 1.0),
        ({"kind": "exact", "answers": ("Ada",)}, "It was Ada.", 1.0),
        ({"kind": "exact", "answers": ("Ada",)}, "It was not Ada.\nAnswer: Grace", 0.0),
        ({"kind": "exact", "answers": ("Ada",)}, "I don't know whether it was Ada.", 0.0),
        ({"kind": "abstain", "answerable": False}, "I don't know.", 1.0),
        ({"kind": "abstain", "answerable": False}, "It was Ada.", 0.0),
        # thought until the limit: nothing was refused
        ({"kind": "abstain", "answerable": False}, "<think>hm", 0.0),
        ({"kind": "free"}, "Anything.", None),
    ],
)
def test_scores_of_each_kind(item, answer, expected) -> None:
    assert score_text(Item(id="x", question="?", **item), answer).get("correct") == expected


def test_the_installed_champ_package_is_read_without_importing_it(nowhere) -> None:
    dataset = load_dataset("champ")
    assert (len(dataset.items), len(dataset.corpus)) == (270, 545)
    known = {source.id for source in dataset.corpus}
    assert all(set(item.relevant) <= known and item.relevant for item in dataset.items)
    assert load_dataset("champ:Sequence", n=3).items[0].meta["category"] == "Sequence"


def test_champ_s_answers_match_themselves_and_few_others(nowhere) -> None:
    references = [item.answers[0] for item in load_dataset("champ").items]
    for reference in references:
        for form in split_alternatives(reference):
            assert expression_matches(f"The answer is {form}.", reference) == 1.0, form
    formulas = sorted({each for each in references if "n" in each and "^" in each and " " not in each})
    assert len(formulas) > 10
    wrong = [(a, b) for a in formulas for b in formulas if a != b and expression_matches(f"It is {a}.", b)]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("gsm8k", 1319),
        ("bbh", 1687),
        ("squad2", 500),
        ("squad2:impossible", 258),
        ("mip_overthinking", 1164),
        ("mip_overthinking:formula", 50),
        ("misguided_attention", 13),
        ("champ", 270),
        ("squad2+noise4", 500),
        ("squad2+absent4", 500),
    ],
)
def test_the_public_sets(evaluation_data, name: str, size: int) -> None:
    dataset = load_dataset(name, path=evaluation_data)
    assert len(dataset.items) == size
    assert dataset.licence
    assert name.split(":", maxsplit=1)[0].split("+", maxsplit=1)[0] in dataset_names()
    for item in dataset.items:
        if item.kind == "choice":
            assert score_text(item, f"The answer is ({'ABCDEFG'[item.right_option]}).")["correct"] == 1.0
        elif item.kind == "numeric":
            assert score_text(item, f"The answer is {item.answers[0]}.")["correct"] == 1.0


def test_a_data_set_is_a_file_dropped_into_the_folder(tmp_path, monkeypatch) -> None:
    (tmp_path / "bricks.py").write_text(
        "from pipelines.evaluation.datasets.items import Dataset, Item\n"
        "from pipelines.evaluation.datasets.registry import dataset\n\n\n"
        '@dataset("bricks")\n'
        "def load_bricks(variant, path):\n"
        '    return Dataset(name="bricks", items=(Item(id=variant, question="?", kind="free"),))\n'
    )
    monkeypatch.setattr(sets, "__path__", [*sets.__path__, str(tmp_path)])
    _named_datasets.cache_clear()
    try:
        assert "bricks" in dataset_names()
        assert [item.id for item in load_dataset("bricks:red").items] == ["red"]
    finally:
        _named_datasets.cache_clear()
        sys.modules.pop(f"{sets.__name__}.bricks", None)
