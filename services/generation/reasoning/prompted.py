"""Thinking that an instruct model is asked for: two worked examples, and its turn begun for it.

The examples come before the conversation's last turns, right after the system text, so that an engine
with a prefix cache reads them once. They are grounded answers in miniature: look, relate, conclude.
What comes of it has the form of reasoning; how good it is, is the model's.
"""

from __future__ import annotations

Messages = tuple[tuple[str, str], ...]

_EXAMPLES = (
    (
        "Passages:\n\n[1] Ferries\nThe ferry leaves at 9:15 and needs 50 minutes.\n\n"
        "Question: Is the ferry there by ten?",
        "The ferry leaves at 9:15. It needs 50 minutes, so it arrives at 10:05. That is after ten.",
        "No, it arrives at 10:05.",
    ),
    (
        "A box holds 4 rows of 6 eggs. 5 are broken. How many are whole?",
        "4 rows of 6 are 24 eggs. 24 - 5 = 19.",
        "19 eggs are whole.",
    ),
)

_ANSWER_NOW = "Now give the answer alone."


def thinking(messages: Messages, opener: str, closer: str) -> Messages:
    """The conversation that makes an instruct model think between these tags."""
    system = tuple(message for message in messages if message[0] == "system")
    rest = tuple(message for message in messages if message[0] != "system")
    examples = tuple(
        turn
        for question, thoughts, answer in _EXAMPLES
        for turn in (
            ("user", question),
            ("assistant", f"{opener}\n{thoughts}\n{closer}\n\n{answer}"),
        )
    )
    return (*system, *examples, *rest)


def answering(messages: Messages, opener: str, closer: str, thoughts: str) -> Messages:
    """The same conversation, thought through: for an engine that cannot continue a turn."""
    thought = ("assistant", f"{opener}\n{thoughts}\n{closer}")
    return (*thinking(messages, opener, closer), thought, ("user", _ANSWER_NOW))
