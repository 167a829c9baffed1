"""A whole run of an evaluation, made up but deterministic: a report has something of everything in it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from pipelines.context import freeze
from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.recorded import write_results
from pipelines.evaluation.bundle.records import (
    Answer,
    Bundle,
    Conditions,
    Context,
    DatasetRecord,
    Machine,
    Manifest,
    RunQuestion,
)
from pipelines.evaluation.bundle.store import BundleStore
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.load.records import LoadConditions, LoadReport, Sample, Slo
from pipelines.evaluation.load.results import make_cell, make_verdicts
from services.core.errors import ErrorDetail
from services.core.wire.answer import FileCitation, Timings
from services.core.wire.chat import CompletionTokensDetails, ModelInfo, Usage
from services.core.wire.compare import ArmReply, ArmRequest
from services.core.wire.grounding import AnswerGroundedness, EvidenceSpan, GroundedSentence, GroundedText
from services.core.wire.passages import Passage

ARMS = (
    ArmRequest(name="small", model="small", prompt="instruct-cite", max_tokens=256),
    ArmRequest(name="large", model="large", prompt="instruct-cite", max_tokens=256),
    ArmRequest(name="large@256", model="large", prompt="reasoning-cite", max_reasoning_tokens=256),
)
LARGEST = ArmRequest(name="large@1024", model="large", prompt="reasoning-cite", max_reasoning_tokens=1024)
HOSTILE = "</script><script>alert('x')</script></style><img src=x onerror=alert(1)> {{ 7 * 7 }} | `a` **b**"
"""What a model, or a document, may say."""

SKILL = {"small": 0.48, "large": 0.62, "large@256": 0.7, "large@1024": 0.74}
SPEED = {"small": (900, 33), "large": (2600, 95), "large@256": (2700, 95), "large@1024": (2700, 95)}
"""Milliseconds of prefill, and for each token."""
THINKING = {"large@256": 150, "large@1024": 420}
TYPES = {"logic": ("trap", "control"), "champ": ("algebra", "combinatorics", "geometry"),
         "squad2": ("answerable", "impossible")}  # fmt: skip
WARES = ("bricks", "feathers", "roof tiles", "sand", "copper wire", "oak boards", "lime", "glass panes")


def run(*, questions: int = 120, arms: Sequence[ArmRequest] = ARMS, seed: int = 7) -> Bundle:
    """`questions` in three data sets; the second one and the third have passages. Some answers are `HOSTILE`,
    and some passages."""
    generator = random.Random(seed)
    asked = [_question(index, generator) for index in range(questions)]
    asked.sort(key=lambda each: tuple(TYPES).index(each.dataset))
    contexts = [_context(each, index) for index, each in enumerate(asked)]
    answers: list[Answer] = []
    for index, (each, context) in enumerate(zip(asked, contexts, strict=True)):
        difficulty = generator.uniform(-0.35, 0.35)
        for arm in arms:
            reply = _reply(arm, each, context, difficulty, generator, hostile=index % 7 == 3)
            order = len(answers)
            answers.append(
                Answer(question=each.id, arm=arm.name, repeat=0, order=order, at=3.0 * order, reply=reply)
            )
    return Bundle(
        manifest=_manifest(asked, arms),
        questions=tuple(asked),
        contexts=tuple(contexts),
        answers=tuple(answers),
    )


def write_run(folder: Path, *, questions: int = 60, arms: Sequence[ArmRequest] = ARMS) -> None:
    """A run as a finished bundle, with results and a load run beside it."""
    made = run(questions=questions, arms=arms)
    store = BundleStore(folder)
    store.begin(made.manifest, made.questions)
    with store.open_contexts() as contexts, store.open_answers() as answers:
        for context in made.contexts:
            contexts.append(context)
        for answer in made.answers:
            answers.append(answer)
    write_results(folder, compute_results(store.finish()))
    (folder / "load.json").write_text(load(made.manifest).model_dump_json())


def load(manifest: Manifest) -> LoadReport:
    """Up to eight users at once; answers take longer the more there are."""
    generator = random.Random(3)
    slo = Slo(ttfo=20_000, e2el=40_000)
    cells = []
    for arm in manifest.arms:
        alone = 1.5 * SPEED[arm.name][0] + THINKING.get(arm.name, 0) * SPEED[arm.name][1]
        for users in (1, 2, 4, 8):
            took = [alone * users**0.9 * generator.uniform(0.6, 1.6) for _ in range(40)]
            samples = [
                Sample(arm=arm.name, concurrency=users, started=0, ended=each / 1e3, tokens=30,
                       ttft=each / 2, ttfo=each / 2, e2el=each)
                for each in took
            ]  # fmt: skip
            cells.append(make_cell(arm.name, users, samples, slo, sum(took) / 1e3 / users))
    return LoadReport(
        version="0.1.0", started="2026-11-27T01:00:00Z", arms=manifest.arms, slo=slo, target_share=0.95,
        conditions=LoadConditions(
            driver="made up", target="http://127.0.0.1", collection="champ", concurrencies=(1, 2, 4, 8), requests=40,
            duration_seconds=None, pause_seconds=0, warm_up=1, seed=1, questions=40, cold=True, caches="cold",
        ),
        models=manifest.models, versions={}, machine=manifest.machine, cells=tuple(cells),
        verdicts=make_verdicts(cells, slo, 0.95),
    )  # fmt: skip


def _question(index: int, generator: random.Random) -> RunQuestion:
    dataset = tuple(TYPES)[index % 3]
    kinds = TYPES[dataset]
    kind = kinds[index // 3 % len(kinds)]
    ware, other = generator.sample(WARES, 2)
    one, two = generator.randint(2, 40), generator.randint(2, 40)
    key = f"{dataset}-{index:03}"
    if dataset == "logic":
        heavier = ware if one >= two else other
        item = Item(
            id=key, kind="choice", options=(ware, other), answers=(heavier,), group=f"twins-{index // 6}",
            question=f"Which is heavier: {one} pounds of {ware} or {two} pounds of {other}?",
            meta={"role": kind},
        )  # fmt: skip
    elif dataset == "champ":
        item = Item(
            id=key, kind="numeric", answers=(str(one * two),), relevant=(f"c{index}",),
            question=f"A pallet holds {one} layers of {two} {ware}. How many {ware} does it hold ({kind})?",
        )  # fmt: skip
    else:
        answerable = kind == "answerable"
        item = Item(
            id=key, kind="exact", answers=(f"{one}.5 kg",) if answerable else (), answerable=answerable,
            question=f"How much does a crate of {ware} weigh when it comes from {'Brest' if answerable else 'Ghent'}?",
            group=f"article-{index // 12}",
        )  # fmt: skip
    return RunQuestion(id=f"{dataset}/{key}", dataset=dataset, type=kind, text=item.prompt, item=item)


def _context(asked: RunQuestion, index: int) -> Context:
    if asked.dataset == "logic":
        return Context(question=asked.id, grounds="none", context=freeze([]))
    found = asked.item.answers[0] if asked.item.answers else "nothing that is known"
    texts = (
        f"Wares are weighed at the harbour. In Brest a crate comes to {found}, packing included.",
        "A pallet is counted by layers: the pieces of one layer times the number of layers. Broken pieces count.",
        "Weights are given in kilograms since 1840; older books have pounds, which differ from town to town."
        + HOSTILE * (index % 7 == 4),
    )
    start = 1000 * index
    passages = [
        Passage(
            id=f"{asked.item.id}-p{number}", document_id="harbour.md", title="The harbour book",
            section=("Weights", "Counting", "Units")[number], page=number + 1, text=text, score=0.71 - 0.06 * number,
            start=start + 200 * number, end=start + 200 * number + len(text),
        )
        for number, text in enumerate(texts)
    ]  # fmt: skip
    retrieved = asked.dataset == "champ"
    return Context(
        question=asked.id,
        grounds="retrieved" if retrieved else "given",
        context=freeze(passages),
        timings=Timings(embedding=4.2, retrieval=3.1, reranking=12.5, e2el=20.4) if retrieved else None,
        relevant_found=("", asked.item.relevant[0], "") if retrieved else (),
    )


def _reply(
    arm: ArmRequest,
    asked: RunQuestion,
    context: Context,
    difficulty: float,
    generator: random.Random,
    *,
    hostile: bool,
) -> ArmReply:
    skill = SKILL[arm.name] - difficulty
    prefill, each = SPEED[arm.name]
    thinking = THINKING.get(arm.name, 0)
    thought = min(
        arm.max_reasoning_tokens or 0, int(generator.gauss(thinking * (1 + difficulty), thinking / 4))
    )
    thought = max(0, thought)
    chance = generator.random()
    known = {
        "arm": arm.name,
        "model": arm.model,
        "prompt": arm.prompt,
        "context_id": context.context.context_id,
    }
    if chance > 0.99:
        error = ErrorDetail(type="server_error", code="deadline_exceeded", message="no token within 60 s")
        return ArmReply(**known, status="failed", error=error)
    ttft = prefill * generator.uniform(0.8, 1.5)
    reasoning = _reasoning(asked, thought) if thought else None
    if thinking and chance > 0.96:
        return ArmReply(
            **known, status="reasoning_truncated", reasoning_content=reasoning, finish_reason="reasoning_truncated",
            usage=_usage(thought, thought), timings=Timings(ttft=ttft, e2el=ttft + thought * each),
        )  # fmt: skip
    content, abstained = _content(asked, right=generator.random() < skill, generator=generator)
    tokens = len(content.split()) * 2 + 4
    if hostile:
        content = f"{content} {HOSTILE}"
    ttfo = ttft + thought * each
    return ArmReply(
        **known,
        status="abstained" if abstained else "answered",
        content=content,
        reasoning_content=reasoning if not hostile or not reasoning else reasoning + HOSTILE,
        finish_reason="stop",
        groundedness=_judged(context, content) if not abstained else None,
        citations=_citations(context, len(content)) if not abstained else [],
        usage=_usage(tokens + thought, thought),
        timings=Timings(
            ttft=ttft, ttfo=ttfo, think=ttfo - ttft if thought else None, generation=ttfo + tokens * each,
            e2el=ttfo + tokens * each,
        ),
    )  # fmt: skip


def _usage(completion: int, thought: int) -> Usage:
    details = CompletionTokensDetails(reasoning_tokens=thought)
    return Usage(
        prompt_tokens=500,
        completion_tokens=completion,
        total_tokens=500 + completion,
        completion_tokens_details=details,
    )


def _reasoning(asked: RunQuestion, tokens: int) -> str:
    steps = (
        f"The question is about {asked.item.question.split()[-3]} and what is known of it.\n",
        "What is given: two numbers, and how they belong together.\n",
        "Let me check that again, step by step, before I answer.\n",
    )
    return "".join(steps[index % 3] for index in range(max(1, tokens // 14)))


def _content(asked: RunQuestion, *, right: bool, generator: random.Random) -> tuple[str, bool]:
    """The answer, and whether it declines."""
    item = asked.item
    if item.kind == "choice":
        correct = item.right_option
        letter = "AB"[correct if right else 1 - correct]
        return f"Both are measured in pounds, so the greater number decides. The answer is ({letter}).", False
    if item.kind == "numeric":
        value = int(item.answers[0]) + (0 if right else generator.randint(1, 9))
        return f"Layers times the pieces of a layer [2]. The answer is {value}.", False
    if item.answerable == right:
        answer = item.answers[0] if item.answerable else ""
        return (f"A crate comes to {answer} in Brest [1]. Packing is included.", False) if answer else (
            "A crate comes to 12 kg [1].", False)  # fmt: skip
    if item.answerable and generator.random() < 0.6:
        return "A crate comes to 99 kg [1]. Packing is not included.", False
    return "I don't know: the passages do not say.", True


def _citations(context: Context, index: int) -> list[FileCitation]:
    if not context.context.passages:
        return []
    passage = context.context.passages[0]
    start = passage.text.index("In Brest")
    return [
        FileCitation(
            index=index, marker=1, file_id=passage.document_id, filename="harbour.md", passage_id=passage.id,
            start=passage.start + start, end=passage.end, quote=passage.text[start:], support=0.8, method="model",
        )
    ]  # fmt: skip


def _judged(context: Context, content: str) -> AnswerGroundedness | None:
    """The first sentence is supported; a second one is not, and where it is the wrong one it is contradicted."""
    passages = context.context.passages
    if not passages:
        return None
    first = content.index(".", content.find("]") + 1) + 1 if "]" in content else len(content)
    sentences = [
        GroundedSentence(start=0, end=first, text=content[:first], verdict="supported", p_supported=0.9)
    ]
    if first < len(content):
        wrong = "not included" in content
        sentences.append(
            GroundedSentence(
                start=first + 1,
                end=len(content),
                text=content[first + 1 :],
                p_supported=0.2,
                verdict="contradicted" if wrong else "unsupported",
                against=_packing(passages[0]) if wrong else None,
            )
        )
    verdicts = [each.verdict for each in sentences]
    counted = {name: verdicts.count(name) for name in ("supported", "unsupported", "contradicted")}
    judged = GroundedText(
        sentences=sentences, claims=len(sentences), share_supported=1 / len(sentences), **counted
    )
    return AnswerGroundedness(calibration="made up", answer=judged)


def _packing(passage: Passage) -> EvidenceSpan:
    start = passage.text.index("packing")
    return EvidenceSpan(
        passage_id=passage.id, passage=0, start=start, end=len(passage.text), text=passage.text[start:]
    )


def _manifest(asked: Sequence[RunQuestion], arms: Sequence[ArmRequest]) -> Manifest:
    grounds = {"logic": "none", "champ": "retrieved", "squad2": "given"}
    return Manifest(
        version="0.1.0",
        started="2026-11-27T00:00:00Z",
        datasets=tuple(
            DatasetRecord(
                name=name, n=sum(each.dataset == name for each in asked), of=270, grounds=grounds[name],
                origin=f"made for the tests of {name}", licence="Apache-2.0", notice="", sha256="0123456789abcdef" * 4,
                collection="champ" if name == "champ" else "",
            )
            for name in TYPES
        ),
        arms=tuple(arms),
        conditions=Conditions(
            seed=7, repeats=1, concurrency=1, serial=True, cold=True, warm_up=2,
            caches="every prompt begins with a line of its own, so that no arm finds a prefix that another one filled",
        ),
        models=(
            ModelInfo(id="small", engine="openvino", model_id="Qwen2.5-Coder-0.5B-Instruct", profile="none"),
            ModelInfo(id="large", engine="openvino", model_id="Qwen2.5-Coder-1.5B-Instruct", profile="prompted"),
        ),
        prompts={"instruct-cite": "Answer from the passages.\n\n{passages}", "reasoning-cite": "Think, then answer."},
        versions={"openvino-genai": "2026.4.1", "ragline": "0.1.0"},
        machine=Machine(system="Linux", processor="AMD EPYC", cores=2, memory=24 * 2**30, python="3.11.2"),
    )  # fmt: skip
