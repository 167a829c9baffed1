"""Raw continuation with the larger model, which `test_generation` shows with the smaller one.

It loads the model once more on each engine: a test of `make test-soak`.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from services.core.backends import load
from services.core.models.fetch import fetch
from services.generation.backend import PACKAGE, Delta, EngineModule, Prompt
from services.generation.configuration import SMALL
from services.generation.entries import ModelEntry
from tests.soak import SOAK


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="make test-soak")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["openvino", "llamacpp"])
async def test_goes_on_where_the_turn_has_begun(
    name: str, models_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(SMALL.model_id, models_home)
    monkeypatch.setenv("RAGLINE_HOME", str(models_home))
    module = cast(EngineModule, load(PACKAGE, name))
    assert module.CAPABILITIES.continuation
    engine = await module.create(ModelEntry(name="one", model_id=SMALL.model_id, max_context=2048))

    async def run(**changes: object) -> list[Delta]:
        fields: dict[str, object] = {"max_tokens": 12, "temperature": 0.0, "top_p": 1.0, **changes}
        prompt = Prompt(messages=(("user", "Count from one to ten in words."),), **fields)  # type: ignore[arg-type]
        return [delta async for delta in engine.generate(prompt)]

    try:
        plain, begun = await run(), await run(prefix="One, two, three, four, five,")
        text = "".join(delta.content for delta in begun)
        assert "six" in text.lower()[:12]
        assert "three" not in text.lower()
        assert plain[-1].tokens is not None
        assert begun[-1].tokens is not None
        assert plain[-1].tokens.prompt + 6 <= begun[-1].tokens.prompt <= plain[-1].tokens.prompt + 16
        stopped = await run(prefix="One, two, three, four,", stop=("seven",), max_tokens=40)
        assert "seven" not in "".join(delta.content for delta in stopped)
        assert stopped[-1].finish_reason == "stop"
    finally:
        await engine.close()
