"""The table of metrics in docs/observability.md, made from the registries; run as a script, this writes it."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from services.core.guards.guard import count_checks
from services.core.metrics import Metrics
from services.dataprep.jobs.metrics import JobMetrics
from services.embedding.call import EmbeddingMetrics
from services.gateway.access.usage import UsageBook
from services.gateway.admission import watch_gates
from services.gateway.split.router import SplitRouter
from services.gateway.split.state import open_store
from services.generation.metrics import GenerationMetrics

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- /metrics -->\n"


def collectors(metrics: Metrics) -> list[MetricWrapperBase]:
    """What is registered, in the order of registration."""
    return list(metrics.registry._collector_to_names)


def table() -> str:
    """A Markdown table: name as it is scraped, type, labels, what it is; those of every service first."""
    shared = Metrics("gateway")
    generation = Metrics("generation")
    GenerationMetrics(generation)
    dataprep = Metrics("dataprep")
    JobMetrics(dataprep)
    embedding = Metrics("embedding")
    EmbeddingMetrics(embedding)
    gateway = Metrics("gateway")
    watch_gates(gateway, [])
    count_checks(gateway)
    UsageBook(gateway)
    SplitRouter({}, open_store("off"), gateway)
    common = {each._name for each in collectors(shared)}

    def own(metrics: Metrics) -> list[MetricWrapperBase]:
        return [each for each in collectors(metrics) if each._name not in common]

    lines = ["| metric | type | of | labels | what it is |", "|---|---|---|---|---|"]
    for of, found in (
        ("every service", collectors(shared)),
        ("generation", own(generation)),
        ("dataprep", own(dataprep)),
        ("embedding", own(embedding)),
        ("gateway", own(gateway)),
    ):
        for each in found:
            name = each._name + ("_total" if each._type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in each._labelnames)
            lines.append(f"| `{name}` | {each._type} | {of} | {labels} | {each._documentation} |")
    return "\n".join(lines) + "\n"


def rendered(page: str) -> str:
    """The page with the table of now."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}{table()}{END}{after}"


def main() -> None:
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
