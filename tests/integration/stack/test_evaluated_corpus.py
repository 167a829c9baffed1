"""A data set with a corpus: brought in through the real chain, and searched there by the run."""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.datasets import Dataset, Item, Source
from pipelines.evaluation.runner import SilentWatcher
from pipelines.evaluation.runner.contexts import name_corpus_collection
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import ChosenDataset, Options
from pipelines.evaluation.runner.run import Evaluation, run
from services.core.client import HttpClient
from services.core.wire.compare import ArmRequest
from tests.integration.conftest import Running


async def test_a_corpus_is_brought_in_once_and_searched(running: Running, tmp_path: Path) -> None:
    corpus = (
        Source(id="C_ice", text="Ice is less dense than water, so it floats.", title="Physics"),
        Source(id="C_pound", text="A pound of feathers weighs as much as a pound of bricks."),
        Source(id="H_moon", text="The moon goes round the earth in 27 days."),
    )
    items = (
        Item(id="1", question="Why does ice float on water?", kind="free", relevant=("C_ice",)),
        Item(
            id="2", question="How long does the moon take round the earth?", kind="free", relevant=("H_moon",)
        ),
    )
    dataset = Dataset(name="tiny", items=items, corpus=corpus)
    arms = [ArmRequest(name="one", model="openvino-entry", prompt="plain", max_tokens=4)]
    async with HttpClient("gateway", running.url) as client:
        gateway = Gateway(client)
        for name in ("first", "second"):
            asked = Evaluation([ChosenDataset(dataset, dataset)], arms, Options(top_n=2), tmp_path / name)
            bundle = await run(asked, gateway, SilentWatcher())
        documents = await gateway.documents(name_corpus_collection(dataset))
    assert sorted(documents) == ["Physics 1.txt", "passage 2.txt", "passage 3.txt"]
    assert [context.grounds for context in bundle.contexts] == ["retrieved", "retrieved"]
    assert [context.relevant_found[0] for context in bundle.contexts] == ["C_ice", "H_moon"]
    for frozen in (context.context for context in bundle.contexts):
        left_out = frozen.selection.left_out if frozen.selection else []
        assert len(frozen.passages) + len(left_out) == 2
    ids = {context.question: context.context.context_id for context in bundle.contexts}
    assert all(answer.reply.context_id == ids[answer.question] for answer in bundle.answers)
    assert bundle.manifest.datasets[0].collection == name_corpus_collection(dataset)
