"""Metrics of jobs."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from services.core.metrics import SECONDS, Metrics
from services.core.wire.dataprep import Job, JobFile


class JobMetrics:
    """Registered with the service's own."""

    def __init__(self, metrics: Metrics) -> None:
        self._service = metrics.service
        self.tracer = metrics.tracer
        registry = metrics.registry
        self._waiting = Gauge(
            "ragline_dataprep_queue_depth",
            "Accepted files that no worker has",
            ["service"],
            registry=registry,
        )
        self._running = Gauge(
            "ragline_dataprep_files_running",
            "Files that this process works on, those that wait for a service included",
            ["service"],
            registry=registry,
        )
        self._files = Counter(
            "ragline_dataprep_files",
            "Files by how they ended",
            ["service", "outcome"],
            registry=registry,
        )
        self._jobs = Counter(
            "ragline_dataprep_jobs", "Jobs by how they ended", ["service", "outcome"], registry=registry
        )
        self._passages = Counter(
            "ragline_dataprep_passages", "Passages published", ["service"], registry=registry
        )
        self._retries = Counter(
            "ragline_dataprep_retries",
            "Calls made again, by the service that could not answer",
            ["service", "dependency"],
            registry=registry,
        )
        self._seconds = Histogram(
            "ragline_dataprep_file_duration_seconds",
            "A file taken by a worker to its end",
            ["service"],
            buckets=SECONDS,
            registry=registry,
        )

    def waiting(self, files: int) -> None:
        self._waiting.labels(self._service).set(files)

    def running(self, change: int) -> None:
        self._running.labels(self._service).inc(change)

    def retry(self, dependency: str) -> None:
        self._retries.labels(self._service, dependency or self._service).inc()

    def count_finished(self, file: JobFile, job: Job, seconds: float) -> None:
        self._files.labels(self._service, file.outcome or file.status).inc()
        self._seconds.labels(self._service).observe(seconds)
        if file.outcome == "ingested":
            self._passages.labels(self._service).inc(file.passages)
        if job.finished:
            self._jobs.labels(self._service, job.status).inc()
