"""What engines put on the wire, recorded, and the ways to cut it into chunks.

A recording is a file in `formats/`: `events` are the data of a streamed reply in order, written by the
format that `source` documents; `delivers` is what Ragline must make of them. `then` is the answer to a
second request, for a recording whose first reply ends inside the thinking.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "formats"
FEW_BYTES = 7

Event = dict[str, object]


@dataclass(frozen=True)
class Delivered:
    """The two channels and how they end."""

    reasoning: str
    content: str
    finish_reason: str


@dataclass(frozen=True)
class Recording:
    name: str
    server: str
    setting: str
    source: str
    engine: str
    model_id: str
    emits: str
    path: str
    events: list[Event]
    delivers: Delivered
    profiles: tuple[str, ...] = ("",)
    checked: bool = False
    """Whether it has been compared with its source, in November 2026."""
    environment: tuple[tuple[str, str], ...] = ()
    request: tuple[tuple[str, object], ...] = ()
    """Fields that a request must have to be answered like this."""
    then: str = ""
    note: str = ""

    @property
    def version(self) -> str:
        """What an entry's endpoint must end in: empty for the usual `/v1`."""
        return "/v3" if self.path.startswith("/v3") else ""

    @property
    def reasoning_tokens(self) -> int | None:
        """What the engine itself says, where it does."""
        for event in self.events:
            usage = event.get("usage")
            if isinstance(usage, dict) and "completion_tokens_details" in usage:
                return int(usage["completion_tokens_details"]["reasoning_tokens"])
        return None


@cache
def recordings() -> tuple[Recording, ...]:
    """All of them, by name."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.json")))


def _read(path: Path) -> Recording:
    fields = json.loads(path.read_text(encoding="utf-8"))
    delivers = fields.pop("delivers")
    return Recording(
        name=path.stem,
        delivers=Delivered(**delivers),
        profiles=tuple(fields.pop("profiles", [""])),
        environment=tuple(fields.pop("environment", {}).items()),
        request=tuple(fields.pop("request", {}).items()),
        **fields,
    )


def _texts(event: Event) -> list[tuple[dict[str, object], str]]:
    """Where the event's text is: an object and a key for each field that carries it."""
    token = event.get("token")
    if isinstance(token, dict):
        return [(token, "text")] if event.get("details") is None else []
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or choices[0]["finish_reason"]:
        return []
    delta = choices[0]["delta"]
    return [
        (delta, key) for key, value in delta.items() if key != "role" and isinstance(value, str) and value
    ]


def _text(event: Event) -> str:
    """Its text where there is but one; a chunk of both channels is not cut."""
    texts = {str(place[key]) for place, key in _texts(event)}
    return texts.pop() if len(texts) == 1 else ""


def _with(event: Event, text: str) -> Event:
    changed = copy.deepcopy(event)
    for place, key in _texts(changed):
        place[key] = text
    return changed


def by_character(events: list[Event]) -> Iterator[Event]:
    for event in events:
        text = _text(event)
        yield from (_with(event, character) for character in text) if text else (event,)


def merged(events: list[Event]) -> Iterator[Event]:
    """Neighbours whose text is in the same fields as one."""
    held: Event | None = None
    for event in events:
        text = _text(event)
        if held is not None and text and _keys(held) == _keys(event):
            held = _with(held, _text(held) + text)
            continue
        if held is not None:
            yield held
        held = event if text else None
        if not text:
            yield event
    if held is not None:
        yield held


def _keys(event: Event) -> list[str]:
    return [key for _, key in _texts(event)]


def as_recorded(events: list[Event]) -> Iterator[Event]:
    yield from events


def stopped(events: list[Event], stops: Sequence[str]) -> tuple[list[Event], str]:
    """The events of a server that honours stop strings, and the text that was left out after the first one.

    TGI's text ends with the stop string, everybody else's before it.
    """
    text = "".join(map(_text, events))
    ends = [(text.index(stop), stop) for stop in stops if stop in text]
    if not ends:
        return events, ""
    at, stop = min(ends)
    keep = at + len(stop) * _is_tgi(events)
    kept: list[Event] = []
    for event in events:
        size = len(_text(event))
        if not size:
            kept.append(event)
        elif keep > 0:
            kept.append(_with(event, _text(event)[:keep]))
        keep -= size
    return kept, text[at + len(stop) :].lstrip()


def _is_tgi(events: list[Event]) -> bool:
    return "token" in events[0] or "native" in str(events[0].get("system_fingerprint"))


def completion_tokens(events: list[Event]) -> int:
    """The engine's own count, from its usage or its details."""
    for event in reversed(events):
        for key, count in (("usage", "completion_tokens"), ("details", "generated_tokens")):
            place = event.get(key)
            if isinstance(place, dict):
                return int(place[count])
    raise AssertionError("a recording without a count")


@dataclass(frozen=True)
class Chunking:
    """How the text is cut into events, and how many bytes one write has (0: an event, -1: everything)."""

    events: Callable[[list[Event]], Iterator[Event]]
    write: int = 0

    def writes(self, events: list[Event], *, done: bool) -> Iterator[bytes]:
        """The body of the reply, write by write; `done`: it ends in OpenAI's [DONE]."""
        data = [b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n" for event in events]
        if done:
            data.append(b"data: [DONE]\n\n")
        if self.write == 0:
            yield from data
            return
        body = b"".join(data)
        size = self.write if self.write > 0 else len(body)
        yield from (body[at : at + size] for at in range(0, len(body), size))


CHUNKINGS = {
    "recorded": Chunking(as_recorded),
    "characters": Chunking(by_character),
    "merged": Chunking(merged),
    "bytes": Chunking(as_recorded, FEW_BYTES),
    "one-write": Chunking(as_recorded, -1),
}
