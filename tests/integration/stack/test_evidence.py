"""What reaches the prompt, by the real embedding model: part numbers, what looks like them, soft hyphens, copies."""

from __future__ import annotations

import random
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.conftest import Running

COLLECTION = "evidence"
NUMBERS = random.Random(9087).sample(range(2200, 9999), 122)
ROWS = [f"PPR-{number},{20 + at % 71} Nm,M{4 + at % 7},{at / 10} kg" for at, number in enumerate(NUMBERS)]
DOCUMENTS = {
    "parts.csv": "part,torque,thread,weight\n" + "\n".join(ROWS),
    "tariffs.html": "<html><body><h1>Tarife</h1><p>Die Ge&shy;b\u00fchr f\u00fcr den Wasser&shy;anschluss ist 45 Euro."
    "</p></body></html>",
    "codes.md": "# Codes\n\nError E-4711: the pump does not start.\n\nThe driver is written in C++.\n",
    "copy.md": "# Codes\n\nError E-4711: the pump does not start.\n\nThe driver is written in C++.\n",
}


@pytest.fixture(scope="module")
def filled(running: Running) -> Iterator[Running]:
    ids = [
        running.upload(name, text.encode(), collection=COLLECTION).json()["files"][0]["document_id"]
        for name, text in DOCUMENTS.items()
    ]
    yield running
    for document_id in ids:
        httpx.delete(f"{running.url}/v1/documents/{document_id}", params={"collection": COLLECTION})


def search(running: Running, question: str) -> dict[str, object]:
    body = {"question": question, "rag": {"collection": COLLECTION}}
    reply = httpx.post(f"{running.url}/v1/search", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    context: dict[str, object] = reply.json()["context"]
    return context


def texts(context: dict[str, object]) -> str:
    passages = context["passages"]
    assert isinstance(passages, list)
    return "\n".join(passage["text"] for passage in passages)


def test_every_part_has_its_row_in_the_prompt_and_no_other_one_stands_in_for_a_part_that_is_not_there(
    filled: Running,
) -> None:
    for number in NUMBERS[:30]:
        for question in (f"What is the torque of PPR-{number}?", f"ppr{number}"):
            assert f"PPR-{number}" in texts(search(filled, question)), question
    absent = next(number for number in range(2200, 9999) if number not in NUMBERS)
    context = search(filled, f"What is the torque of PPR-{absent}?")
    assert "PPR-" not in texts(context)
    assert context["relevance"]["missing"] == [f"PPR-{absent}"]  # type: ignore[index]


@pytest.mark.parametrize("question", ["E-4711", "e4711", "C++"])
def test_a_bare_code_finds_its_passage_once(filled: Running, question: str) -> None:
    context = search(filled, question)
    assert texts(context).count("E-4711") == 1
    assert [passage["title"] for passage in context["repeated"]] in (["copy.md"], ["codes.md"])  # type: ignore[attr-defined]


def test_a_word_with_soft_hyphens_is_found_as_typed_and_shown_as_it_is(filled: Running) -> None:
    context = search(filled, "Wie hoch ist die Geb\u00fchr f\u00fcr den Wasseranschluss?")
    assert "Wasser\u00adanschluss" in texts(context)
    assert context["relevance"]["language"] == "de"  # type: ignore[index]
