"""A sentence-transformers BERT model on OpenVINO, in this process: no server, no GPU, no torch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from pydantic import Field

from services.core.models.catalogue import CATALOGUE, HubFile
from services.core.models.fetch import fetch
from services.core.settings import HomeSettings
from services.core.wire.embedding import EmbeddingInfo, Token
from services.embedding.backend import Encoded, normalized
from services.embedding.batching import LENGTH_STEP, fill, plan
from services.embedding.bert import BertConfig, build
from services.embedding.tokens import TextTokenizer
from services.embedding.weights import read_safetensors

WORKERS = 2
"""One batch is tokenized or pooled while the engine, which runs one at a time, works on another."""

WARM_TOKENS = 64


class Settings(HomeSettings):
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
        1024,
        ge=1,
        validation_alias="EMBEDDING_BATCH_TOKENS",
        description="openvino: tokens per pass; a query waits for at most the pass in progress",
    )
    threads: int = Field(
        0,
        ge=0,
        validation_alias="EMBEDDING_THREADS",
        description="openvino: threads of the engine; 0 leaves it to OpenVINO (all cores)",
    )

    @property
    def named(self) -> str:
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
        """The model on disk, fetched where it is not there yet (blocks)."""
        return self.model_path or fetch(self.catalogue_name, self.root)


class OpenVinoEmbedding:
    """Batches by length, runs off the event loop, one pass at a time and each caller's turn in order."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        config = BertConfig.read(folder / "config.json")
        limit = min(settings.max_tokens, config.max_position_embeddings)
        self._tokenizer = TextTokenizer(folder / "tokenizer.json", limit - limit % LENGTH_STEP)
        self._settings = settings
        self._dim = config.hidden_size
        core = ov.Core()
        self._precision = _precision(core, settings.precision)
        model = build(config, read_safetensors(folder / "model.safetensors"))
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self._precision}
        if settings.threads:
            options["INFERENCE_NUM_THREADS"] = str(settings.threads)
        compiled = core.compile_model(model, "CPU", options)
        self._requests: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(WORKERS):
            self._requests.put(compiled.create_infer_request())
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="embedding")
        self._warm_up()

    async def info(self) -> EmbeddingInfo:
        return EmbeddingInfo(
            model_id=self._settings.named,
            model_dtype="bfloat16" if self._precision == "bf16" else "float32",
            model_type={"embedding": {"pooling": self._settings.pooling}},
            max_input_length=self._tokenizer.limit,
            max_batch_tokens=self._settings.batch_tokens,
            dim=self._dim,
            token_vectors=True,
        )

    async def encode(
        self, texts: Sequence[str], *, normalize: bool, truncate: bool, token_vectors: bool = False
    ) -> Encoded:
        loop = asyncio.get_running_loop()
        ids = await loop.run_in_executor(self._pool, lambda: self._tokenizer.encode(texts, truncate=truncate))
        vectors = np.empty((len(ids), self._dim), np.float32)
        states: list[NDArray[np.float32]] = [vectors[:0]] * len(ids)
        for batch in plan([len(text) for text in ids], self._settings.batch_tokens):
            inputs = [ids[position] for position in batch]
            pooled, hidden = await loop.run_in_executor(self._pool, self._run, inputs, token_vectors)
            vectors[batch] = pooled
            for position, rows in zip(batch, hidden, strict=False):
                states[position] = rows
        return Encoded(
            vectors=normalized(vectors) if normalize else vectors,
            prompt_tokens=sum(map(len, ids)),
            states=states if token_vectors else None,
        )

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._pool, lambda: self._tokenizer.tokens(texts, add_special_tokens=add_special_tokens)
        )

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(
        self, texts: Sequence[Sequence[int]], keep_states: bool
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Pooled vectors, and each text's hidden states where `keep_states`; blocks."""
        request = self._requests.get()
        try:
            # the arrays shared with the engine are not used after this call, its output is copied below
            output = request.infer(list(fill(texts)), share_inputs=True, share_outputs=True)[0]
            rows = [output[row, : len(text)] for row, text in enumerate(texts)]
            pooled = np.stack([self._pool_rows(row) for row in rows])
            return pooled, [row.copy() for row in rows] if keep_states else []
        finally:
            self._requests.put(request)

    def _pool_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        pooled: NDArray[np.float32] = rows[0] if self._settings.pooling == "cls" else rows.mean(axis=0)
        return pooled

    def _warm_up(self) -> None:
        """See the lengths of usual queries once, so that no user's query pays for a shape's first time."""
        for _ in range(WORKERS):
            for length in range(LENGTH_STEP, WARM_TOKENS + 1, LENGTH_STEP):
                self._run([[0] * length], False)


def _precision(core: ov.Core, wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


async def create() -> OpenVinoEmbedding:
    settings = Settings.load()

    def build_backend() -> OpenVinoEmbedding:
        return OpenVinoEmbedding(settings, settings.folder())

    return await asyncio.to_thread(build_backend)
