"""An open OpenVINO model: the pipeline, its tokens, and the requests in it.

`python -m services.generation.backends.openvino.model` is the engine's process, the only one that loads this.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai
import orjson

from services.core.errors import ContextLengthExceeded, ServiceError
from services.core.wire.chat import FinishReason
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.backends.openvino.folder import read_trained_context
from services.generation.backends.openvino.protocol import Opening
from services.generation.backends.openvino.worker import serve
from services.generation.text import Detokenizer, StopScanner

BATCH_TOKENS = 256
"""Prompt tokens per step: 512 is not faster, and a request is cancelled between two steps."""

KV_BLOCK = 32

PROBE = "a " * 40_000
"""Longer than the length at which tokenizers made from GGUF files silently cut (8,192 tokens)."""

PIECE = 2000
"""Characters: at most four bytes each, so never more than 8,000 tokens."""

_BOUNDARY = re.compile(r"(?<=[^\s<|])(?= [^\W\d_])")
"""Between a word and the space before the next: byte-pair tokenizers never join across it."""

MARKUP = 64


class OpenVinoModel:
    """A pipeline with continuous batching; see `worker.Model`.

    Args:
        tokenizer: The model's own.
        pipeline: The open model.
        context: Tokens of prompt and answer together.
        name: The entry's, for messages.
    """

    def __init__(
        self, tokenizer: genai.Tokenizer, pipeline: genai.ContinuousBatchingPipeline, context: int, name: str
    ) -> None:
        self._name = name
        self.tokenizer = tokenizer
        self.context = context
        self.truncates_at = int(_tokenize(tokenizer, PROBE).shape[1])
        """Texts of more tokens lose the rest in the tokenizer."""
        self._pipeline = pipeline
        self._config = pipeline.get_config()
        end = tokenizer.get_eos_token_id()
        if end >= 0 and self._config.eos_token_id < 0:
            self._config.set_eos_token_id(end)
        self._numbers = itertools.count(1)

    def start(self, prompt: Prompt) -> OpenVinoGeneration:
        tokens = self.encode(prompt)
        size = int(tokens.shape[1])
        if size >= self.context:
            raise ContextLengthExceeded(
                f"the prompt has {size} tokens, model {self._name} takes {self.context} with the "
                "answer: send fewer or shorter passages or messages",
                service="openvino",
            )
        config = _make_config(self._config, prompt, min(prompt.max_tokens, self.context - size))
        handle = self._pipeline.add_request(next(self._numbers), tokens, config)
        return OpenVinoGeneration(self.tokenizer, handle, prompt.stop, size)

    def is_busy(self) -> bool:
        return bool(self._pipeline.has_non_finished_requests())

    def step(self) -> None:
        self._pipeline.step()

    def encode(self, prompt: Prompt) -> ov.Tensor:
        """Turn the prompt, by the model's own chat template, and what the turn begins with into token ids.

        Returns:
            The ids, of shape (1, n), never truncated.
        """
        opened = self.tokenizer.apply_chat_template(
            prompt.chat_messages(), add_generation_prompt=True, extra_context=prompt.template_options()
        )
        text = opened + prompt.prefix
        tokens = _tokenize(self.tokenizer, text)
        if tokens.shape[1] < self.truncates_at:
            return tokens
        parts = [_tokenize(self.tokenizer, part).data for part in split_text(text)]
        return ov.Tensor(np.concatenate(parts, axis=1))


class OpenVinoGeneration:
    """A request in the pipeline; see `worker.Generation`."""

    def __init__(
        self, tokenizer: genai.Tokenizer, handle: genai.GenerationHandle, stops: Sequence[str], prompt: int
    ) -> None:
        self._handle = handle
        self._text = Detokenizer(lambda tokens: str(tokenizer.decode(list(tokens))))
        self._scanner = StopScanner(stops)
        self._prompt_tokens = prompt
        self._count = 0

    def read(self) -> Delta | None:
        outputs = []
        while self._handle.can_read():
            outputs.extend(self._handle.read().values())
        tokens = [token for output in outputs for token in output.generated_ids]
        self._count += len(tokens)
        reason = _find_finish_reason(self._handle, outputs)
        piece = self._scanner.push(self._text.push(tokens) + (self._text.flush() if reason else ""))
        counts = TokenCounts(self._prompt_tokens, self._count)
        if self._scanner.stopped:
            return Delta(content=piece, finish_reason="stop", tokens=counts)
        if reason:
            return Delta(content=piece + self._scanner.flush(), finish_reason=reason, tokens=counts)
        return Delta(content=piece) if piece else None

    def cancel(self) -> None:
        self._handle.cancel()


def open_model(opening: Opening) -> OpenVinoModel:
    """Open the model in a folder, converted here or elsewhere, and warm it up; blocks."""
    folder = opening.folder
    context = min(opening.max_context, read_trained_context(Path(folder)) or opening.max_context)
    tokenizer = genai.Tokenizer(folder)
    scheduler = _make_scheduler(context, opening.concurrency)
    pipeline = genai.ContinuousBatchingPipeline(
        folder, tokenizer, scheduler, "CPU", INFERENCE_NUM_THREADS=opening.threads
    )
    # the first inference allocates and compiles; the first user should not wait for that
    warm = pipeline.get_config()
    warm.max_new_tokens, warm.do_sample, warm.apply_chat_template = 2, False, False
    pipeline.generate([tokenizer.encode("warm").input_ids], [warm])
    return OpenVinoModel(tokenizer, pipeline, context, opening.name)


def _make_scheduler(context: int, requests: int) -> genai.SchedulerConfig:
    """Configure continuous batching with a prefix cache for `requests` prompts of `context` tokens."""
    config = genai.SchedulerConfig()
    config.max_num_batched_tokens = BATCH_TOKENS
    config.dynamic_split_fuse = True
    config.enable_prefix_caching = True
    config.max_num_seqs = requests + 1
    config.num_kv_blocks = (requests * context) // KV_BLOCK + requests + 2
    return config


def _make_config(base: genai.GenerationConfig, prompt: Prompt, limit: int) -> genai.GenerationConfig:
    """Join the model's own ends with the prompt's sampling."""
    config = genai.GenerationConfig()
    config.set_eos_token_id(base.eos_token_id)
    config.stop_token_ids = base.stop_token_ids
    config.max_new_tokens = limit
    config.apply_chat_template = False
    config.do_sample = prompt.temperature > 0
    if prompt.temperature > 0:
        config.temperature = prompt.temperature
        config.top_p = prompt.top_p
    features = prompt.features
    config.presence_penalty = features.presence_penalty or 0.0
    config.frequency_penalty = features.frequency_penalty or 0.0
    schema = features.json_schema()
    if schema is not None:
        form = genai.StructuredOutputConfig()
        form.json_schema = orjson.dumps(schema).decode()
        config.structured_output_config = form
    return config


def _find_finish_reason(
    handle: genai.GenerationHandle, outputs: Sequence[genai.GenerationOutput]
) -> FinishReason | None:
    """Tell why the engine ended, None while it goes on. Raises `ServiceError` where it gave up."""
    status = genai.GenerationStatus
    reasons = genai.GenerationFinishReason
    known: dict[object, FinishReason] = {reasons.STOP: "stop", reasons.LENGTH: "length"}
    for output in outputs:
        if output.finish_reason in known:
            return known[output.finish_reason]
    if handle.get_status() in {status.RUNNING, status.FINISHED} or handle.can_read():
        return None
    raise ServiceError(
        f"openvino ended a generation as {handle.get_status().name}: its cache is too small, "
        "lower LLM_CONCURRENCY or LLM_MAX_CONTEXT",
        service="openvino",
    )


def split_text(text: str, size: int = PIECE) -> list[str]:
    """Cut `text` into parts of at most `size` characters whose tokens, joined, are the text's.

    The cuts are where a byte-pair tokenizer cuts anyway. Where a part has no such boundary, the cut is
    anywhere but inside a `<|marker|>`. Pure.
    """
    parts = []
    while len(text) > size:
        cuts = [match.start() for match in _BOUNDARY.finditer(text, 1, size)]
        cut = cuts[-1] if cuts else size
        marker = text.rfind("<", max(1, cut - MARKUP), cut)
        if not cuts and marker > 0:
            cut = marker
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


def _tokenize(tokenizer: genai.Tokenizer, text: str) -> ov.Tensor:
    return tokenizer.encode(text, add_special_tokens=False).input_ids


if __name__ == "__main__":
    serve(open_model)
