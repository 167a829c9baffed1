"""A sentence-transformers BERT model on OpenVINO, in this process: no server, no GPU, no torch."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from pydantic import Field

from services.core.models.catalogue import CATALOGUE
from services.core.models.fetch import fetch
from services.core.models.files import HubFile
from services.core.settings import HomeSettings
from services.core.wire.embedding import Direction, EmbeddingInfo, Token
from services.embedding.backend import EncodedTexts, QueueLoad, normalise
from services.embedding.backends.openvino.batcher import Batcher, Limits
from services.embedding.backends.openvino.bert import BertConfig, build_graph
from services.embedding.backends.openvino.files import TextTokenizer, read_safetensors
from services.embedding.backends.openvino.scheduler import LENGTH_STEP, fill_arrays

MOST_STREAMS = 4
"""Passes at a time where the setting leaves it open. A pass on a core of its own waits for no other,
which costs much on a busy machine; but a query is one pass, and should not have one of many cores alone."""

TOKENIZERS = 2

WARM_TOKENS = 64


class Settings(HomeSettings):
    """The model in this process, and its engine."""

    model_id: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        validation_alias="EMBEDDING_MODEL_ID",
        description="embedding model: a catalogue name or hub id (openvino), the server's id (openai)",
    )
    model_path: Path | None = Field(
        None,
        validation_alias="EMBEDDING_MODEL_PATH",
        description="openvino: a folder with a BERT model's config.json, model.safetensors, tokenizer.json",
    )
    precision: Literal["auto", "bf16", "f32"] = Field(
        "auto",
        validation_alias="EMBEDDING_PRECISION",
        description="openvino: auto is bf16 where the CPU computes in it, f32 elsewhere",
    )
    pooling: Literal["mean", "cls"] = Field(
        "mean",
        validation_alias="EMBEDDING_POOLING",
        description="openvino: how token states become a vector; as the model was trained",
    )
    max_tokens: int = Field(
        256,
        ge=8,
        validation_alias="EMBEDDING_MAX_TOKENS",
        description="longest text in tokens; all-MiniLM-L6-v2 was trained on at most 256",
    )
    batch_tokens: int = Field(
        256,
        ge=1,
        validation_alias="EMBEDDING_BATCH_TOKENS",
        description="openvino: tokens per pass; a query waits for at most the pass in progress",
    )
    batch_wait_ms: float = Field(
        0,
        ge=0,
        validation_alias="EMBEDDING_BATCH_WAIT_MS",
        description="openvino: how long an idle engine waits for a pass to become fuller",
    )
    queue_tokens: int = Field(
        262_144,
        ge=1,
        validation_alias="EMBEDDING_QUEUE_TOKENS",
        description="openvino: most tokens that may wait, all requests together; more are a 429",
    )
    threads: int = Field(
        0,
        ge=0,
        validation_alias="EMBEDDING_THREADS",
        description="openvino: threads of the engine; 0 is one for each core",
    )
    streams: int = Field(
        0,
        ge=0,
        validation_alias="EMBEDDING_STREAMS",
        description="openvino: passes at a time, sharing the threads; 0 is one for each thread, at most 4",
    )

    @property
    def public_id(self) -> str:
        """The model's id in `/info`, the same that a TEI server of this model gives."""
        if self.model_path and "model_id" not in self.model_fields_set:
            return self.model_path.name
        entry = CATALOGUE.get(self.catalogue_name)
        source = entry.files[0].sources[0] if entry else None
        return source.repo if isinstance(source, HubFile) else self.model_id

    @property
    def catalogue_name(self) -> str:
        return self.model_id.rsplit("/", 1)[-1].lower()

    def folder(self) -> Path:
        """Find the model on disk; fetch it where it is not there yet (blocks)."""
        return self.model_path or fetch(self.catalogue_name, self.root)


class OpenVinoEmbedding:
    """Tokenizes on threads; the batcher runs the engine off the event loop."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        config = BertConfig.read(folder / "config.json")
        limit = min(settings.max_tokens, config.max_position_embeddings)
        self._tokenizer = TextTokenizer(folder / "tokenizer.json", limit - limit % LENGTH_STEP)
        self._settings = settings
        self._dim = config.hidden_size
        core = ov.Core()
        self._precision = _choose_precision(core, settings.precision)
        model = build_graph(config, read_safetensors(folder / "model.safetensors"))
        threads = settings.threads or os.cpu_count() or 1
        passes = min(settings.streams or MOST_STREAMS, threads)
        options = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "NUM_STREAMS": str(passes),
            "INFERENCE_NUM_THREADS": str(threads),
        }
        compiled = core.compile_model(model, "CPU", options)
        self._streams = [_InferStream(compiled) for _ in range(passes)]
        _warm_up(self._streams)
        limits = Limits(settings.batch_tokens, settings.queue_tokens, settings.batch_wait_ms / 1e3)
        self._batcher = Batcher(
            self._streams, _pool_first if settings.pooling == "cls" else _pool_mean, limits
        )
        self._threads = ThreadPoolExecutor(TOKENIZERS, thread_name_prefix="tokenizer")

    async def info(self) -> EmbeddingInfo:
        return EmbeddingInfo(
            model_id=self._settings.public_id,
            model_dtype="bfloat16" if self._precision == "bf16" else "float32",
            model_type={"embedding": {"pooling": self._settings.pooling}},
            max_input_length=self._tokenizer.limit,
            max_batch_tokens=self._settings.batch_tokens,
            dim=self._dim,
            token_vectors=True,
        )

    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> EncodedTexts:
        loop = asyncio.get_running_loop()
        ids = await loop.run_in_executor(
            self._threads, lambda: self._tokenizer.encode(texts, truncate=truncate, direction=direction)
        )
        vectors, states = await self._batcher.run(ids, keep_states=token_vectors)
        return EncodedTexts(
            vectors=normalise(vectors) if normalize else vectors,
            tokens=[len(text) for text in ids],
            states=states if token_vectors else None,
        )

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: self._tokenizer.tokens(texts, add_special_tokens=add_special_tokens)
        )

    async def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        )

    def load(self) -> QueueLoad:
        return self._batcher.load()

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        await asyncio.to_thread(self._batcher.close)
        self._threads.shutdown(wait=True, cancel_futures=True)


class _InferStream:
    """One infer request of the compiled model."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._request = compiled.create_infer_request()

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        self._request.infer([ids, mask], share_inputs=True)
        states: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return states


def _pool_mean(states: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = states.mean(axis=0)
    return mean


def _pool_first(states: NDArray[np.float32]) -> NDArray[np.float32]:
    first: NDArray[np.float32] = states[0].copy()
    return first


def _warm_up(streams: Sequence[_InferStream]) -> None:
    """Run the lengths of usual queries once, so that no user's query pays for a shape's first time."""
    for stream in streams:
        for length in range(LENGTH_STEP, WARM_TOKENS + 1, LENGTH_STEP):
            stream.run(*fill_arrays([[0] * length]))


def _choose_precision(core: ov.Core, setting: str) -> str:
    if setting != "auto":
        return setting
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


async def create() -> OpenVinoEmbedding:
    """Load the model, fetched where it is not there yet, and compile it."""
    settings = Settings.load()

    def build_backend() -> OpenVinoEmbedding:
        return OpenVinoEmbedding(settings, settings.folder())

    return await asyncio.to_thread(build_backend)
