"""One openvino-genai pipeline that many requests share, without ever holding the interpreter's lock.

The pipeline's own `step()` keeps the GIL for the whole step, which would stop the event loop for as
long as a piece of a prompt takes. `generate()` releases it, and works through everything that was
added while it runs. So a busy period is one `generate()` call on a throw-away prompt of one token, in
a thread, and the real requests are added beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import numpy as np
import openvino as ov
import openvino_genai as genai
import structlog

from services.core.errors import ServiceError, ServiceUnavailable

BATCH_TOKENS = 256
"""Prompt tokens per step: 512 is not faster, and a request is cancelled between two steps."""

KV_BLOCK = 32
POLL_SECONDS = 0.003
SETTLE_SECONDS = 0.001
"""After the throw-away prompt is there: `generate` then copies the list of what was added, which it does not
lock. A request that is added in that instant moves the list under the copy, and the process is gone."""
CLOSE_SECONDS = 10.0

log = structlog.get_logger(__name__)


def scheduler(context: int, requests: int) -> genai.SchedulerConfig:
    """Continuous batching with a prefix cache that holds `requests` prompts of `context` tokens."""
    config = genai.SchedulerConfig()
    config.max_num_batched_tokens = BATCH_TOKENS
    config.dynamic_split_fuse = True
    config.enable_prefix_caching = True
    config.max_num_seqs = requests + 1
    config.num_kv_blocks = (requests * context) // KV_BLOCK + requests + 2
    return config


class Batch:
    """Adds requests to a pipeline and keeps it going as long as there is one. Event loop only."""

    def __init__(self, pipeline: genai.ContinuousBatchingPipeline, token: int) -> None:
        self._pipeline = pipeline
        self._primer = ov.Tensor(np.array([[token]], dtype=np.int64))
        self._ids = itertools.count(1)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._adding = asyncio.Lock()
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether the engine computes nothing."""
        return self._thread is None or not self._thread.is_alive()

    async def add(self, tokens: ov.Tensor, config: genai.GenerationConfig) -> genai.GenerationHandle:
        """Start on a request. The caller polls the handle, calls `check` meanwhile, and cancels it."""
        async with self._adding:
            if self._closed:
                raise ServiceUnavailable("openvino is being unloaded: try again", service="openvino")
            if self.idle:
                self._start()
                while not self.idle and not self._pipeline.has_non_finished_requests():  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS / 10)  # the engine has no way to tell
                await asyncio.sleep(SETTLE_SECONDS)
            return self._pipeline.add_request(next(self._ids), tokens, config)

    def check(self, handle: genai.GenerationHandle) -> None:
        """Raise `ServiceError` where the engine has failed; go on where a request came as it fell idle."""
        if self.idle and handle.get_status() == genai.GenerationStatus.RUNNING and not handle.can_read():
            if self._failure is not None:
                raise ServiceError(f"openvino failed: {self._failure}", service="openvino")
            self._start()

    async def close(self) -> None:
        """Wait until the engine is idle; whoever has a request cancels it first."""
        self._closed = True
        until = time.monotonic() + CLOSE_SECONDS
        while not self.idle and time.monotonic() < until:  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL_SECONDS)

    def _start(self) -> None:
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="openvino", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            if self._pipeline.has_non_finished_requests():
                self._steps()
            else:
                self._pipeline.generate([self._primer], [self._primer_config()])
        except Exception as error:
            log.error("openvino failed", exc_info=error)
            self._failure = error

    def _steps(self) -> None:
        """For a request added in the instant in which `generate` returned, which refuses to start over it."""
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            time.sleep(0)

    def _primer_config(self) -> genai.GenerationConfig:
        config = genai.GenerationConfig()
        config.max_new_tokens = 1
        config.do_sample = False
        config.ignore_eos = True
        config.apply_chat_template = False
        return config
