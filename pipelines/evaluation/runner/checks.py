"""What must be right before any model is asked: the arms' entries, and a folder that holds this very run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.evaluation.bundle.records import Manifest
from pipelines.evaluation.gate.policy import Policy, Quality, Rule
from pipelines.evaluation.metric import find_metric, list_metrics
from pipelines.evaluation.results import OVERALL
from services.core.errors import Conflict, InvalidRequest, NotFound, ServiceUnavailable
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmRequest

_IN_PROCESS = {"auto", "habana", "llamacpp", "openvino"}
"""Engines that may be loading, which the warm-up waits for; a server that is not ready is down."""
_NOT_LOADED = "not loaded"
"""How the detail of an entry begins that only waits for its first request."""


def resolve_arms(arms: Sequence[ArmRequest], models: Sequence[ModelInfo]) -> tuple[ArmRequest, ...]:
    """Put the entries' own names in the place of aliases, model ids and the default.

    Raises:
        NotFound: There is no such entry.
        ServiceUnavailable: The entry cannot answer now.
    """
    return tuple(arm.model_copy(update={"model": _find_entry(arm, models).id}) for arm in arms)


def _find_entry(arm: ArmRequest, models: Sequence[ModelInfo]) -> ModelInfo:
    entry = next((model for model in models if _has_name(model, arm.model)), None)
    entry = entry or next((model for model in models if arm.model and model.model_id == arm.model), None)
    if entry is None:
        known = ", ".join(model.id for model in models) or "none"
        raise NotFound(f"arm {arm.name}: no model entry {arm.model!r}: the gateway has {known}")
    check_can_answer(entry, f"arm {arm.name}")
    return entry


def check_can_answer(entry: ModelInfo, who: str) -> None:
    """Check that an entry can answer now, or once it is loaded.

    Args:
        entry: The model entry.
        who: Who wants it to answer, for the message.

    Raises:
        ServiceUnavailable: It cannot answer.
    """
    waits = entry.engine in _IN_PROCESS or entry.detail.startswith(_NOT_LOADED)
    if not entry.ready and not waits:
        raise ServiceUnavailable(
            f"{who}: its entry {entry.id} cannot answer: {entry.detail or 'it is not ready'}",
            service="generation",
        )


def _has_name(model: ModelInfo, name: str) -> bool:
    return (model.default and not name) or name in {model.id, *model.aliases}


def check_resident(arms: Sequence[ArmRequest], models: Sequence[ModelInfo]) -> None:
    """Check, after each arm has been asked once, that all their models stay in memory.

    Raises:
        ServiceUnavailable: A model had to make room for another: the times would be those of loading models.
    """
    used = {arm.model for arm in arms}
    unloaded = [model.id for model in models if model.id in used and model.detail.startswith(_NOT_LOADED)]
    if unloaded:
        raise ServiceUnavailable(
            f"{', '.join(unloaded)} had to make room for another model, and would be loaded again for each "
            f"question: set LLM_LOADED_MAX={len(used)} or more and restart the generation service, or "
            "compare fewer models",
            service="generation",
        )


def check_policy(policy: Policy, arms: Sequence[ArmRequest], datasets: Sequence[str]) -> None:
    """Check that a policy is about what a run asks.

    Raises:
        InvalidRequest: It names an arm, a metric or a data set that the run does not have.
    """
    baseline, *others = (arm.name for arm in arms)
    if policy.baseline not in {"", baseline}:
        raise InvalidRequest(f"policy: its baseline is {policy.baseline!r}: name it first in --arms")
    if policy.candidate and policy.candidate not in others:
        raise InvalidRequest(f"policy: its candidate {policy.candidate!r} is none of {', '.join(others)}")
    asked: list[Quality | Rule] = [*([policy.quality] if policy.quality else []), *policy.rules]
    for rule in asked:
        if find_metric(rule.metric) is None:
            known = ", ".join(metric.name for metric in list_metrics() if metric.in_results)
            raise InvalidRequest(f"policy: there is no metric {rule.metric!r}; there are: {known}")
        if rule.scope.split("/")[0] not in {OVERALL, *datasets}:
            raise InvalidRequest(
                f"policy: there is no scope {rule.scope!r}; there are: {', '.join((OVERALL, *datasets))}"
            )


def check_same(present: Manifest, wanted: Manifest, folder: str) -> None:
    """Check that a folder holds the run that is wanted. Conflict says what differs."""
    differences = list(find_differences(present, wanted))
    if differences:
        raise Conflict(
            f"{folder} holds another run: {'; '.join(differences)}. Choose another --out, or ask as it did"
        )


def find_differences(present: Manifest, wanted: Manifest) -> Iterator[str]:
    """Say what differs between two runs and must not be mixed, in words; the present run's value comes
    first."""
    if present.version != wanted.version:
        yield f"it is of Ragline {present.version}, this is {wanted.version}"
    for name in dict.fromkeys(dataset.name for dataset in (*present.datasets, *wanted.datasets)):
        old = next((dataset for dataset in present.datasets if dataset.name == name), None)
        new = next((dataset for dataset in wanted.datasets if dataset.name == name), None)
        if old is None or new is None:
            yield f"data set {name} is {'not in it' if old is None else 'in it'}"
        elif old.n != new.n:
            yield f"{name} has {old.n} questions in it, not {new.n}"
        elif old != new:
            yield f"the questions of {name} are others, or have other passages"
    if present.arms != wanted.arms:
        yield f"its arms are {_format_arms(present.arms)}, not {_format_arms(wanted.arms)}"
    for name in type(present.conditions).model_fields:
        old_value, new_value = getattr(present.conditions, name), getattr(wanted.conditions, name)
        if old_value != new_value:
            yield f"{name} is {old_value}, not {new_value}"
    if present.prices != wanted.prices:
        yield "its prices are others"
    yield from _find_engine_differences(present, wanted)


def _find_engine_differences(present: Manifest, wanted: Manifest) -> Iterator[str]:
    """Say what differs in prompts, judge, versions, models and machine."""
    if (present.sequential is None) != (wanted.sequential is None):
        which = "ragline eval" if present.sequential is None else "ragline decide"
        yield f"it was begun by {which}"
    if present.policy != wanted.policy:
        yield "its policy is another (ragline gate holds a run against any policy)"
    if present.prompts != wanted.prompts:
        yield "its prompts have another text"
    if present.judge is not None and _judge_conditions(present) != _judge_conditions(wanted):
        by = "nobody" if wanted.judge is None else wanted.judge.model.id
        yield f"it is judged by {present.judge.model.id}, not by {by}, or in other words"
    for name in sorted(present.versions.keys() | wanted.versions.keys()):
        old, new = present.versions.get(name, "none"), wanted.versions.get(name, "none")
        if old != new:
            yield f"{name} was {old}, and is {new}"
    models = {model.id: model for model in wanted.models}
    for model in present.models:
        now = models.get(model.id)
        if now is not None and (model.model_id, model.profile) != (now.model_id, now.profile):
            was, is_ = (f"{entry.model_id} ({entry.profile})" for entry in (model, now))
            yield f"entry {model.id} was {was}, and is {is_}"
    old_machine, new_machine = present.machine, wanted.machine
    if (old_machine.processor, old_machine.cores) != (new_machine.processor, new_machine.cores):
        yield f"it was begun on {old_machine.cores} cores of {old_machine.processor}"


def _judge_conditions(manifest: Manifest) -> tuple[object, ...]:
    """Collect what the verdicts of a run's judge depend on."""
    judge = manifest.judge
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


def _format_arms(arms: Sequence[ArmRequest]) -> str:
    """Write the arms' names, with all that is set."""
    return ", ".join(f"{arm.name} ({_format_settings(arm)})" for arm in arms)


def _format_settings(arm: ArmRequest) -> str:
    fields = arm.model_dump(exclude_none=True, exclude={"name"})
    return " ".join(f"{name}={value}" for name, value in fields.items())
