"""What a conversation holds: which messages get an answer where no passage was found, and which do not."""

from __future__ import annotations

import pytest

from pipelines.conversation import holds_answer, is_small_talk, is_task_of_client
from pipelines.prompting import ABSTENTION
from services.core.wire.chat import ChatMessage, Role
from tests.bench.conversation import read_utterances

FILE = "The Tarnbrook lighthouse burns 4711 litres of oil in a year. " * 8
TITLE = """### Task:
Generate a concise, 3-5 word title.
### Chat History:
<chat_history>
USER: How dense is ice?
</chat_history>"""


def say(*turns: tuple[Role, str]) -> list[ChatMessage]:
    return [ChatMessage(role=role, content=text) for role, text in turns]


ANSWERED = say(("user", "How dense is ice?"), ("assistant", "Ice has 917 kilograms per cubic metre."))
DECLINED = say(("user", "Who won the world cup of 1998?"), ("assistant", ABSTENTION))
ATTACHED = say(("system", f"Use this file:\n<source id=1>{FILE}</source>"))


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "hi there",
        "Thanks a lot!",
        "Thank you very much",
        "Good morning",
        "ok, great",
        "Vielen Dank!",
        "Merci beaucoup",
        "\u4f60\u597d",
        "\u0441\u043f\u0430\u0441\u0438\u0431\u043e",
    ],
)
def test_greetings_and_thanks_are_small_talk(text: str) -> None:
    assert is_small_talk(text)
    assert holds_answer(text, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "How are the invoices paid?",
        "Is it good?",
        "What is a good morning routine for help desks?",
        "no",
    ],
)
def test_questions_are_not(text: str) -> None:
    assert not is_small_talk(text)
    assert not holds_answer(text, [])


@pytest.mark.parametrize(
    "question",
    [
        "Translate that to German.",
        "Shorter, please.",
        "Why is it so?",
        "Is ice denser than a kilogram per cubic metre?",
    ],
)
def test_follow_ups_of_an_answer_are_about_the_conversation(question: str) -> None:
    assert holds_answer(question, ANSWERED)
    assert not holds_answer(question, [])
    assert not holds_answer(question, DECLINED)


@pytest.mark.parametrize("history", [[], ANSWERED, DECLINED, ATTACHED])
@pytest.mark.parametrize(
    "question", ["Who won the football world cup of 1998?", "Which team invented the telephone?"]
)
def test_a_new_question_to_the_documents_is_none(history: list[ChatMessage], question: str) -> None:
    assert not holds_answer(question, history)


@pytest.mark.parametrize(
    "history",
    [
        ATTACHED,
        say(("user", f"Here is my file.\n{FILE}"), ("assistant", ABSTENTION)),
        say(("user", "q"), ("tool", FILE), ("assistant", ABSTENTION)),
    ],
)
def test_attached_text_answers_what_it_is_about(history: list[ChatMessage]) -> None:
    assert holds_answer("How many litres does the lighthouse burn?", history)


def test_a_persona_is_no_evidence() -> None:
    persona = say(("system", "You are a helpful and friendly assistant of a company. " * 10))
    assert not holds_answer("Who won the football world cup of 1998?", persona)


@pytest.mark.parametrize(
    "question",
    [
        TITLE,
        f"Answer from this.\n<context>\n{FILE}\n</context>\nHow much oil?",
        f"Context:\n{FILE}\n\nHow much oil?",
    ],
)
def test_a_message_that_brings_its_text_along_gets_an_answer(question: str) -> None:
    assert holds_answer(question, [])


def test_tasks_of_chat_clients_are_known_by_the_conversation_that_they_quote() -> None:
    assert is_task_of_client(TITLE)
    assert not is_task_of_client("What does the task of a title clerk pay?")


def test_a_reply_of_a_tool_is_answered_from() -> None:
    follow = [ChatMessage(role="tool", content="0.1 g", tool_call_id="c")]
    assert holds_answer("How much does a bee weigh?", [], follow)


@pytest.mark.parametrize(("label", "least"), [("talk", 0.9), ("follow", 0.9), ("ask", 0.95)])
def test_labelled_messages_of_five_languages_are_told_apart(label: str, least: float) -> None:
    """`make bench-relevance` prints the rates by language."""
    right = [one.decided == label for one in read_utterances() if one.label == label]
    assert len(right) >= 60
    assert sum(right) >= least * len(right)


@pytest.mark.parametrize(
    "text",
    [
        "Hello, how do I reset my password?",
        "Price of the soup",
        "\u3042\u308a\u304c\u3068\u3046\u30ab\u30fc\u30c9\u306e\u5370\u5237\u65b9\u6cd5",
        "No night shift for you?",
    ],
)
def test_a_question_with_a_greeting_in_it_is_one_to_the_documents(text: str) -> None:
    assert not is_small_talk(text)
