"""A client that hangs up, over real HTTP, with both real embedded engines: the engine stops within 1 s."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.contract.real_models.conftest import WITHIN, Client
from tests.soak import soak_only

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACTS = " ".join(f"Item {number} costs {number * 7 % 97} euros." for number in range(300))


@pytest.mark.parametrize("stream", [True, soak_only(False, reason="streams hang up on the same engine")])
@pytest.mark.parametrize("phase", ["prefill", "decode"])
async def test_hanging_up_stops_the_engine(client: Client, phase: str, stream: bool) -> None:
    service, session = client.service, client.session
    url = f"{service.url}/v1/chat/completions"
    text = f"{time.monotonic()} {FACTS}" if phase == "prefill" else "Write a very long story about the sea."
    asked = {"model": "tiny", "max_reasoning_tokens": 0, "messages": [{"role": "user", "content": text}]}
    request = asyncio.ensure_future(session.post(url, json={**asked, "max_tokens": 2000, "stream": stream}))
    if phase == "decode" and stream:
        reply = await request
        await reply.content.readuntil(b"\n\n")
        assert not service.is_idle("tiny")
        reply.close()
    else:
        await asyncio.sleep(0.5)
        assert not request.done()
        assert not service.is_idle("tiny")
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    assert await service.seconds_until_idle("tiny") < WITHIN
    short = {**asked, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    async with session.post(url, json=short) as reply:
        assert (await reply.json())["usage"]["completion_tokens"] <= 3
