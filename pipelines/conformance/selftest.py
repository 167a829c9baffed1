"""The test of an installation: does every model answer from a document?

A document with a made-up fact goes in. Every model entry is asked for it and has to answer by itself, from
that document, with a citation of it, and without its thinking in the answer. The document is then deleted.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from pipelines.conformance.checks import TAGS
from services.core.client import HttpClient
from services.core.context import start_request
from services.core.errors import DeadlineExceeded, RaglineError, ServiceError
from services.core.retry import RetryPolicy
from services.core.wire.answer import AnswerReply
from services.core.wire.chat import ModelList
from services.core.wire.dataprep import IngestReply
from services.core.wire.encoding import decode

COLLECTION = "ragline-selftest"
PAUSE_SECONDS = 2.0
ANSWER_SECONDS = 600.0
UPLOAD_SECONDS = 120.0
ANSWER_LENGTH = 300

T = TypeVar("T")
Say = Callable[[str], None]

_INGESTED = TypeAdapter(IngestReply)
_MODELS = TypeAdapter(ModelList)
_ANSWER = TypeAdapter(AnswerReply)


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that no model knows, and no other document has: `number` is new at each run."""

    question: ClassVar[str] = "What does the lamp of the Tarnbrook lighthouse burn in a year?"
    """Not how many: small models then begin to compute."""

    name: str
    number: int

    @classmethod
    def invent(cls) -> Fact:
        """Make up a document's name and a number that no document has."""
        return cls(f"selftest-{uuid.uuid4().hex[:12]}.md", random.randrange(1000, 9999))

    @property
    def document(self) -> bytes:
        return (
            "# Tarnbrook lighthouse\n\n"
            f"The lamp of the Tarnbrook lighthouse burns {self.number} litres of oil in a year.\n"
        ).encode()


def find_problems(reply: AnswerReply, entry: str, document_id: str) -> list[str]:
    """List what is wrong with an entry's answer; empty where it is as it should be. Pure."""
    wrong: list[str] = []
    choice = reply.choices[0]
    content = choice.message.content or ""
    if reply.model != entry or any(stage.startswith("generation") for stage in reply.degraded):
        wrong.append(f"{reply.model} answered in its place ({', '.join(reply.degraded) or 'not marked'})")
    if reply.outcome == "abstained":
        wrong.append("it abstained: the document was not found, or not thought relevant")
    if not content.strip():
        wrong.append(f"the answer is empty, finish_reason {choice.finish_reason}")
    elif tag := TAGS.search(content):
        wrong.append(f"thinking is in the answer: {tag.group()!r}")
    cited = [citation for citation in choice.message.citations if citation.file_id == document_id]
    if content.strip() and not cited:
        wrong.append("the answer does not cite the document")
    if not any(passage.document_id == document_id for passage in reply.context.passages):
        wrong.append("the document is not among the passages of the answer")
    return wrong


@dataclass(frozen=True, slots=True)
class SelfTest:
    """One run. `until` is when waiting for what is not ready yet ends, by `time.monotonic`."""

    gateway: HttpClient
    say: Say
    until: float

    async def run(self, skip: Sequence[str] = ()) -> bool:
        """Whether every entry but those of `skip` answered well. Raises what keeps it from asking."""
        fact = Fact.invent()
        document_id = await self._wait_until_ready(lambda: self._ingest(fact))
        self.say(f"ok      ingested {fact.name} into collection {COLLECTION}")
        try:
            entries = [entry for entry in await self._entries() if entry not in skip]
            if not entries:
                self.say("failed  no model entry to ask")
            passed = [await self._passes(entry, fact, document_id) for entry in entries]
            return bool(passed) and all(passed)
        finally:
            await self._delete_document(document_id)

    async def _passes(self, entry: str, fact: Fact, document_id: str) -> bool:
        began = time.monotonic()
        try:
            reply = await self._wait_until_ready(lambda: self._ask(entry, fact))
        except RaglineError as error:
            self.say(f"failed  {entry}: {error.service or 'the gateway'}: {error.message}")
            return False
        wrong = find_problems(reply, entry, document_id)
        said = " ".join((reply.choices[0].message.content or "").split())[:ANSWER_LENGTH]
        if wrong:
            self.say(f"failed  {entry}: {'; '.join(wrong)}. It said: {said!r}")
            return False
        self.say(f"ok      {entry} answered in {time.monotonic() - began:.1f} s, with a citation: {said!r}")
        return True

    async def _ingest(self, fact: Fact) -> str:
        start_request(uuid.uuid4().hex, UPLOAD_SECONDS)
        boundary = uuid.uuid4().hex
        form = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="collection"\r\n\r\n{COLLECTION}\r\n'
            f'--{boundary}\r\ncontent-disposition: form-data; name="files"; filename="{fact.name}"\r\n'
            "content-type: text/markdown\r\n\r\n"
        ).encode() + fact.document
        body = await self.gateway.post(
            "/v1/documents",
            form + f"\r\n--{boundary}--\r\n".encode(),
            headers={"content-type": f"multipart/form-data; boundary={boundary}"},
        )
        ingested = decode(_INGESTED, body, self.gateway.service).files[0]
        if ingested.status != "ingested":
            raise ServiceError(f"the document is {ingested.status}, not ingested", service="dataprep")
        return ingested.document_id

    async def _entries(self) -> list[str]:
        start_request(uuid.uuid4().hex, UPLOAD_SECONDS)
        listed = decode(_MODELS, await self.gateway.get("/v1/models"), self.gateway.service)
        return [model.id for model in listed.entries]

    async def _ask(self, entry: str, fact: Fact) -> AnswerReply:
        start_request(uuid.uuid4().hex, ANSWER_SECONDS)
        asked = {
            "model": entry,
            "messages": [{"role": "user", "content": fact.question}],
            "rag": {"collection": COLLECTION},
        }
        return decode(_ANSWER, await self.gateway.post("/v1/chat/completions", asked), self.gateway.service)

    async def _delete_document(self, document_id: str) -> None:
        start_request(uuid.uuid4().hex, UPLOAD_SECONDS)
        try:
            await self.gateway.delete(f"/v1/documents/{quote(document_id)}?collection={COLLECTION}")
        except RaglineError as error:
            self.say(f"note    the document stays in collection {COLLECTION}: {error.message}")

    async def _wait_until_ready(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The result, tried again while a service is not there or not ready; what it waits for is said."""
        told = ""

        async def tell(error: Exception | None) -> None:
            nonlocal told
            if isinstance(error, ServiceError) and error.message != told:
                told = error.message
                self.say(f"waiting {told}")

        policy = RetryPolicy(first=PAUSE_SECONDS, longest=PAUSE_SECONDS, retries=self._is_worth_waiting)
        return await policy.call(attempt, tell)

    def _is_worth_waiting(self, error: Exception) -> bool:
        is_absent = isinstance(error, ServiceError) and not isinstance(error, DeadlineExceeded)
        return is_absent and time.monotonic() + PAUSE_SECONDS <= self.until


async def check(url: str, api_key: str, *, wait: float, skip: Sequence[str], say: Say) -> bool:
    """Run the test against the gateway at `url`; waits up to `wait` seconds for what is not ready."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with HttpClient("gateway", url, headers=headers) as gateway:
        return await SelfTest(gateway, say, time.monotonic() + wait).run(skip)
