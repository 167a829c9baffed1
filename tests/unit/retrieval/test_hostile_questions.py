"""Questions of two megabytes in one line: what reads them takes time in proportion to their length."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pipelines import conversation
from services.core.wire.chat import ChatMessage
from services.retrieval import identifiers, language, sparse

HISTORY = [
    ChatMessage(role="user", content="honey?"),
    ChatMessage(role="assistant", content="Bees make honey."),
]
READERS: dict[str, Callable[[str], object]] = {
    "words": language._read_words,
    "terms": sparse.split_terms,
    "identifiers": identifiers.find_identifiers,
    "conversation": lambda text: conversation.holds_answer(text, HISTORY),
    "task": conversation.is_task_of_client,
    "small talk": conversation.is_small_talk,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", ["a", "1", "_", "\n", "A1", "a-", "\u65e5"])
def test_ten_times_the_text_is_no_hundred_times_the_work(reader: str, text: str) -> None:
    """A quadratic one took minutes for 60,000 characters; ten seconds of its own CPU are generous for these."""
    begun = time.thread_time()
    READERS[reader](text * (20_000 // len(text)))
    READERS[reader](text * (200_000 // len(text)))
    assert time.thread_time() - begun < 10
