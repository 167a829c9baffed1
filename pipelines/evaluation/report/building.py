"""A report out of a bundle and its results. Pure."""

from __future__ import annotations

from pipelines.evaluation.bundle.records import Bundle, Manifest
from pipelines.evaluation.load.records import LoadReport
from pipelines.evaluation.report.disagreements import disagreements
from pipelines.evaluation.report.document import ArmColumn, Report
from pipelines.evaluation.report.limits import limits
from pipelines.evaluation.report.plotted import curves, frontier, headline, thinking_bins
from pipelines.evaluation.results import Results
from services.core.wire.chat import ModelInfo


def build(bundle: Bundle, results: Results, load: LoadReport | None = None) -> Report:
    """The same arguments give the same report. `load` is of the same arms, where they were put under load."""
    differing, shown = disagreements(bundle, results)
    return Report(
        baseline=results.baseline,
        quality=headline(results),
        verdicts=results.verdicts,
        warnings=results.warnings,
        questions=len(bundle.questions),
        answers=len(bundle.answers),
        arms=_columns(bundle.manifest),
        metrics=results.metrics,
        ratios=results.ratios,
        frontier=frontier(bundle, results),
        stages=results.stages,
        percentiles=results.percentiles,
        curves=curves(bundle, results),
        thinking=thinking_bins(bundle, results),
        abstention=results.abstention,
        outcomes=results.outcomes,
        judge=results.judge,
        differing=differing,
        disagreements=tuple(shown),
        load=load,
        manifest=bundle.manifest,
        limits=limits(bundle, results),
    )


def _columns(manifest: Manifest) -> tuple[ArmColumn, ...]:
    models = {name: model for model in manifest.models for name in (*model.aliases, model.id)}
    default = next((model for model in manifest.models if model.default), None)
    columns = []
    for arm in manifest.arms:
        model = (models.get(arm.model) if arm.model else default) or ModelInfo(id=arm.model)
        columns.append(
            ArmColumn(
                name=arm.name,
                baseline=arm.name == manifest.baseline,
                model=model.id,
                model_id=model.model_id,
                engine=model.engine,
                profile=model.profile,
                prompt=arm.prompt,
                budget=arm.max_reasoning_tokens,
                effort=arm.reasoning_effort,
                max_tokens=arm.max_tokens,
                temperature=arm.temperature,
                top_p=arm.top_p,
            )
        )
    return tuple(columns)
