"""The report's files, beside the bundle that they are of: HTML, Markdown and JSON.

Whatever a model, a question or a document says is escaped in HTML and in Markdown.
"""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipelines.evaluation.bundle.files import parse_record
from pipelines.evaluation.bundle.integrity import fingerprint
from pipelines.evaluation.bundle.recorded import read_results
from pipelines.evaluation.bundle.store import read_bundle
from pipelines.evaluation.load.records import LoadReport
from pipelines.evaluation.report import units
from pipelines.evaluation.report.building import build_report
from pipelines.evaluation.report.document import Report
from pipelines.evaluation.report.evidence import describe_evidence
from pipelines.evaluation.report.figures.coverage import draw_coverage
from pipelines.evaluation.report.figures.forest import draw_forest
from pipelines.evaluation.report.figures.frontier import draw_frontier, draw_thinking
from pipelines.evaluation.report.figures.goodput import draw_goodput
from pipelines.evaluation.report.figures.latency import draw_ecdf, draw_waterfall
from pipelines.evaluation.report.figures.svg import Plot
from pipelines.evaluation.report.labels import describe_labels
from pipelines.evaluation.report.policy import TEMPLATES, hash_source, read_template
from pipelines.evaluation.report.scorecard import make_cards
from pipelines.evaluation.report.seal import SEAL, find_changes, is_drawn_by_these_versions, make_seal
from pipelines.evaluation.report.sections import condition_rows, describe_judge, format_machine
from services.core.errors import InvalidRequest
from services.core.files import replace_atomically

LOAD = "load.json"
NAME = "report"

Figures = dict[str, Plot | None]
"""The figures by id, in the report's order; None where the run has no such figure."""


def write_report(folder: Path) -> list[Path]:
    """Write `report.html`, `report.md` and `report.json` into a bundle's folder, and the seal of the three.

    Reads the recorded results, and `load.json` where there is one. The same folder gives the same bytes.

    Returns:
        Where the three files are.

    Raises:
        NotFound: The folder holds no bundle, or no results.
        InvalidRequest: A file is damaged, the results are of other answers, or a file cannot be written.
    """
    contents, bundle = render_report(folder)
    for name, content in (*contents.items(), (SEAL, make_seal(contents, bundle))):
        path = folder / name
        try:
            replace_atomically(path, content)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None
    return [folder / name for name in contents]


def render_report(folder: Path) -> tuple[dict[str, bytes], str]:
    """Render a bundle's report without writing it; raises as `write_report` does.

    Returns:
        The content of each file, and the bundle's fingerprint.
    """
    bundle, results = read_bundle(folder), read_results(folder)
    mark = fingerprint(bundle)
    if results.bundle != mark:
        raise InvalidRequest(
            f"the results in {folder} are not of its answers: 'ragline replay {folder}' scores them again"
        )
    report = build_report(bundle, results, _read_load(folder / LOAD))
    figures = draw_figures(report)
    return {
        f"{NAME}.html": render_html(report, figures).encode(),
        f"{NAME}.md": render_markdown(report, figures).encode(),
        f"{NAME}.json": _render_json(report),
    }, mark


def find_report_changes(folder: Path, bundle: str) -> list[str]:
    """List what of a sealed report is not as it was written. One whose seal fits is drawn again, where the
    same versions drew it, so that a seal made anew for it does not help."""
    changes = find_changes(folder, bundle)
    if changes or not is_drawn_by_these_versions(folder):
        return changes
    contents, _ = render_report(folder)
    return [
        f"{folder / name} is not what these answers give, though its seal fits"
        for name, content in contents.items()
        if (folder / name).read_bytes() != content
    ]


def _read_load(path: Path) -> LoadReport | None:
    return parse_record(LoadReport, path.read_bytes(), str(path)) if path.is_file() else None


def _render_json(report: Report) -> bytes:
    """The report as JSON, without the texts of the disagreements, which are in the bundle."""
    without = {"disagreements": {"__all__": {"text", "passages", "answers"}}}
    return report.model_dump_json(indent=1, exclude=without).encode() + b"\n"


def render_html(report: Report, figures: Figures) -> str:
    """Render the report as one file that loads nothing.

    Its policy forbids that, and names its one style and its one script by their hashes.
    """
    style, script = (read_template(name) for name in ("report.css", "report.js"))
    policy = (
        f"default-src 'none'; style-src {hash_source(style)}; script-src {hash_source(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return _render(
        "report.html.j2",
        report,
        figures,
        autoescape=True,
        policy=policy,
        # our own files, which go in as they are: their hashes are in the policy
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
    )


def render_markdown(report: Report, figures: Figures) -> str:
    """Render the report as Markdown, with tables instead of figures, and without the texts of answers."""
    text = _render("report.md.j2", report, figures, autoescape=False)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def draw_figures(report: Report) -> Figures:
    """Draw the figures, each for two widths: the slow part of a report."""
    return {
        "forest": draw_forest(report),
        "frontier": draw_frontier(report),
        "coverage": draw_coverage(report),
        "waterfall": draw_waterfall(report),
        "ecdf": draw_ecdf(report),
        "thinking": draw_thinking(report),
        "goodput": draw_goodput(report),
    }


def escape_markdown(value: object) -> object:
    """Escape a text for a line or a cell of Markdown: no markup, no break. Other values are left alone."""
    if not isinstance(value, str):
        return value
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", " ".join(value.split(" ")).replace("\n", " "))


def split_asides(sentence: str) -> list[str]:
    """Split a sentence at its brackets; what is in brackets is at the odd places."""
    return re.split(r"(\([^()]*\))", sentence)


def _render(name: str, report: Report, figures: Figures, *, autoescape: bool, **more: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,  # noqa: S701 - Markdown has an escape of its own, `escape_markdown`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=None if autoescape else escape_markdown,
    )
    environment.filters.update(
        share=units.format_share,
        seconds=units.format_time,
        count=units.format_count,
        p_value=units.format_p,
        machine=format_machine,
        asides=split_asides,
        metric_title=units.metric_title,
        cost=units.format_cost,
        deviation=units.format_deviation,
    )
    return environment.get_template(name).render(
        report=report,
        cards=make_cards(report),
        plots=figures,
        conditions=condition_rows(report.manifest),
        judging=describe_judge(report.judge),
        cost_interval=units.format_cost_interval,
        interval=units.format_interval,
        labelling=describe_labels(report.labels),
        evidence=describe_evidence(report.sequential),
        arms={arm.name: index for index, arm in enumerate(report.arms)},
        **more,
    )
