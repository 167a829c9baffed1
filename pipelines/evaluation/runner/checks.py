"""What must be right before any model is asked: the arms' entries, and a folder that holds this very run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.evaluation.bundle.records import Manifest
from services.core.errors import Conflict, NotFound, ServiceUnavailable
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmRequest

_IN_PROCESS = {"auto", "habana", "llamacpp", "openvino"}
"""Engines that may be loading, which the warm-up waits for; a server that is not ready is down."""
_NOT_LOADED = "not loaded"
"""How the detail of an entry begins that only waits for its first request."""


def resolved(arms: Sequence[ArmRequest], models: Sequence[ModelInfo]) -> tuple[ArmRequest, ...]:
    """The arms with their entries' own names for aliases, model ids and the default.

    NotFound where there is no such entry, ServiceUnavailable where it cannot answer now.
    """
    return tuple(arm.model_copy(update={"model": _entry(arm, models).id}) for arm in arms)


def _entry(arm: ArmRequest, models: Sequence[ModelInfo]) -> ModelInfo:
    found = next((model for model in models if _named(model, arm.model)), None)
    found = found or next((model for model in models if arm.model and model.model_id == arm.model), None)
    if found is None:
        known = ", ".join(model.id for model in models) or "none"
        raise NotFound(f"arm {arm.name}: no model entry {arm.model!r}: the gateway has {known}")
    can_answer(found, f"arm {arm.name}")
    return found


def can_answer(entry: ModelInfo, who: str) -> None:
    """ServiceUnavailable where it cannot, now or once it is loaded; `who` wants it to."""
    waits = entry.engine in _IN_PROCESS or entry.detail.startswith(_NOT_LOADED)
    if not entry.ready and not waits:
        raise ServiceUnavailable(
            f"{who}: its entry {entry.id} cannot answer: {entry.detail or 'it is not ready'}",
            service="generation",
        )


def _named(model: ModelInfo, name: str) -> bool:
    return (model.default and not name) or name in {model.id, *model.aliases}


def check_resident(arms: Sequence[ArmRequest], models: Sequence[ModelInfo]) -> None:
    """After each arm has been asked once: ServiceUnavailable where one had to make room for another, because
    then the times would be those of loading models."""
    used = {arm.model for arm in arms}
    gone = [model.id for model in models if model.id in used and model.detail.startswith(_NOT_LOADED)]
    if gone:
        raise ServiceUnavailable(
            f"{', '.join(gone)} had to make room for another model, and would be loaded again for each "
            f"question: set LLM_LOADED_MAX={len(used)} or more and restart the generation service, or "
            "compare fewer models",
            service="generation",
        )


def check_same(there: Manifest, wanted: Manifest, folder: str) -> None:
    """Conflict that says what differs between the run in a folder and this one."""
    found = list(differences(there, wanted))
    if found:
        raise Conflict(
            f"{folder} holds another run: {'; '.join(found)}. Choose another --out, or ask as it did"
        )


def differences(there: Manifest, wanted: Manifest) -> Iterator[str]:
    """In what two runs differ that must not be mixed, in words, the first one's value first."""
    if there.version != wanted.version:
        yield f"it is of Ragline {there.version}, this is {wanted.version}"
    for dataset in {each.name: None for each in (*there.datasets, *wanted.datasets)}:
        old = next((each for each in there.datasets if each.name == dataset), None)
        new = next((each for each in wanted.datasets if each.name == dataset), None)
        if old is None or new is None:
            yield f"data set {dataset} is {'not in it' if old is None else 'in it'}"
        elif old.n != new.n:
            yield f"{dataset} has {old.n} questions in it, not {new.n}"
        elif old != new:
            yield f"the questions of {dataset} are others, or have other passages"
    if there.arms != wanted.arms:
        yield f"its arms are {_listed(there.arms)}, not {_listed(wanted.arms)}"
    for name in type(there.conditions).model_fields:
        old_value, new_value = getattr(there.conditions, name), getattr(wanted.conditions, name)
        if old_value != new_value:
            yield f"{name} is {old_value}, not {new_value}"
    yield from _others(there, wanted)


def _others(there: Manifest, wanted: Manifest) -> Iterator[str]:
    if there.prompts != wanted.prompts:
        yield "its prompts have another text"
    if there.judge is not None and _judge(there) != _judge(wanted):
        by = "nobody" if wanted.judge is None else wanted.judge.model.id
        yield f"it is judged by {there.judge.model.id}, not by {by}, or in other words"
    for name in sorted(there.versions.keys() | wanted.versions.keys()):
        old, new = there.versions.get(name, "none"), wanted.versions.get(name, "none")
        if old != new:
            yield f"{name} was {old}, and is {new}"
    models = {model.id: model for model in wanted.models}
    for model in there.models:
        now = models.get(model.id)
        if now is not None and (model.model_id, model.profile) != (now.model_id, now.profile):
            was, is_ = (f"{each.model_id} ({each.profile})" for each in (model, now))
            yield f"entry {model.id} was {was}, and is {is_}"
    old_machine, new_machine = there.machine, wanted.machine
    if (old_machine.processor, old_machine.cores) != (new_machine.processor, new_machine.cores):
        yield f"it was begun on {old_machine.cores} cores of {old_machine.processor}"


def _judge(of: Manifest) -> tuple[object, ...]:
    """What its verdicts depend on."""
    judge = of.judge
    if judge is None:
        return ()
    return (
        judge.model.id,
        judge.model.model_id,
        judge.instruction,
        judge.temperature,
        judge.seed,
        judge.max_tokens,
    )


def _listed(arms: Sequence[ArmRequest]) -> str:
    """Their names, with all that is set."""
    return ", ".join(f"{arm.name} ({_set(arm)})" for arm in arms)


def _set(arm: ArmRequest) -> str:
    fields = arm.model_dump(exclude_none=True, exclude={"name"})
    return " ".join(f"{name}={value}" for name, value in fields.items())
