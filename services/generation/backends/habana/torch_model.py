"""A causal language model in torch, which runs one generation at a time.

On the CPU it runs through plain transformers, on an HPU through optimum-habana by what `gaudi.py` adds.
Torch and transformers are imported when a model is opened: they take seconds and gigabytes.
"""

from __future__ import annotations

import copy
import importlib
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Protocol

from services.core.errors import ContextLengthExceeded, InvalidRequest, ServiceUnavailable
from services.generation.backend import Prompt
from services.generation.backends.habana import gaudi

PACKAGES = ("torch", "transformers", "accelerate")


class Cancelled(Exception):
    """Raised in the model's callback to stop a step early."""


class Model(Protocol):
    """The part of a transformers model that is used here."""

    config: object
    generation_config: object

    def generate(self, **arguments: object) -> object: ...


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    eos_token_id: int | None
    pad_token_id: int | None

    def apply_chat_template(self, messages: list[dict[str, str]], **options: object) -> str: ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str: ...


class TorchModel:
    """An open model. `context` bounds prompt and answer together, in tokens."""

    def __init__(
        self, model: Model, tokenizer: Tokenizer, torch: ModuleType, device: gaudi.Device, context: int
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._torch = torch
        self._device = device
        self.context = context
        self.ends = _find_ends(model, tokenizer)
        self._cancelled = threading.Event()

    @classmethod
    def open(cls, source: str | Path, device: gaudi.Device, *, context: int, threads: int) -> TorchModel:
        """Open a model; blocks for as long as loading takes.

        Args:
            source: A folder, a GGUF file or a hub id.
            device: Where it shall compute.
            context: Tokens of prompt and answer together; the model's own limit bounds it.
            threads: How many threads compute, on the CPU.

        Raises:
            ServiceUnavailable: A package is missing; the message names it.
        """
        missing = [name for name in PACKAGES if not find_spec(name)]
        if missing:
            raise ServiceUnavailable(f"habana needs {', '.join(missing)}: run pip install '.[habana]'")
        torch = importlib.import_module("torch")
        if device.is_hpu:
            gaudi.adapt_transformers()
        transformers = importlib.import_module("transformers")
        transformers.utils.logging.disable_progress_bar()
        name, options = _locate(source)
        # the option has had this name since transformers 4.56; optimum-habana pins 4.55
        kind = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
        precision = {kind: torch.bfloat16 if device.is_hpu else torch.float32}
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
        model = transformers.AutoModelForCausalLM.from_pretrained(name, **options, **precision).eval()
        if device.is_hpu:
            model = gaudi.place_model(model, graphs=device.graphs)
        else:
            torch.set_num_threads(threads)
        trained = getattr(model.config, "max_position_embeddings", None) or context
        opened = cls(model, tokenizer, torch, device, min(context, trained))
        opened._watch_layers()
        return opened

    def encode(self, prompt: Prompt, name: str) -> list[int]:
        """Encode the prompt by the model's own chat template, and its prefix.

        Args:
            prompt: The request.
            name: The name of the model entry, for errors.

        Raises:
            ContextLengthExceeded: The prompt leaves no room for an answer.
            InvalidRequest: The chat template refuses the messages.
        """
        try:
            text = self._tokenizer.apply_chat_template(
                [{"role": role, "content": text} for role, text in prompt.messages],
                tokenize=False,
                add_generation_prompt=True,
                **prompt.template_options(),
            )
        except Exception as error:
            raise InvalidRequest(
                f"the chat template of model {name} refuses the messages: {error}"
            ) from error
        tokens = self._tokenizer.encode(text + prompt.prefix, add_special_tokens=False)
        if len(tokens) >= self.context:
            raise ContextLengthExceeded(
                f"the prompt has {len(tokens)} tokens, model {name} takes {self.context} with the answer: "
                "send fewer or shorter passages or messages",
                service="habana",
            )
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Decode tokens, but for the special ones."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True)

    def generate(
        self,
        tokens: Sequence[int],
        prompt: Prompt,
        limit: int,
        put: Callable[[int], None],
        cancelled: threading.Event,
    ) -> None:
        """Generate at most `limit` tokens; blocks, and calls `put` with each.

        It ends early, without an error, once `cancelled` is set.
        """
        self._cancelled = cancelled
        if prompt.seed is not None:
            self._torch.manual_seed(prompt.seed % 2**63)
        inputs = self._torch.tensor([list(tokens)], device=self._device.name)
        arguments: dict[str, object] = {
            "input_ids": inputs,
            "attention_mask": self._torch.ones_like(inputs),
            "generation_config": self._generation_config(prompt, limit),
            "streamer": _Streamer(put),
            "stopping_criteria": [self._should_stop],
        }
        if self._device.is_hpu:
            arguments |= gaudi.generate_arguments(graphs=self._device.graphs)
        try:
            with self._torch.inference_mode():
                self._model.generate(**arguments)
        except Cancelled:
            return

    def _generation_config(self, prompt: Prompt, limit: int) -> object:
        """Temperature and top_p alone shape the sampling, as they do in the other engines."""
        config = copy.deepcopy(self._model.generation_config)
        greedy = prompt.temperature == 0
        fields: dict[str, object] = {
            "max_new_tokens": limit,
            "max_length": None,
            "do_sample": not greedy,
            "temperature": 1.0 if greedy else prompt.temperature,
            "top_p": 1.0 if greedy else prompt.top_p,
            "top_k": 0 if not greedy else 50,
            "min_p": None,
            "repetition_penalty": 1.0,
            "num_beams": 1,
            "use_cache": True,
            "pad_token_id": self._padding(),
        }
        if self._device.is_hpu:
            fields |= gaudi.shape_settings(self._device.bucket)
        for name, value in fields.items():
            setattr(config, name, value)
        return config

    def _padding(self) -> int | None:
        own = self._tokenizer.pad_token_id
        return min(self.ends, default=None) if own is None else own

    def _should_stop(self, input_ids: object, scores: object, **_: object) -> object:
        """A stopping criterion: one flag for each sequence of the batch, of which there is one."""
        return self._torch.full(
            (1,), self._cancelled.is_set(), device=self._device.name, dtype=self._torch.bool
        )

    def _watch_layers(self) -> None:
        """Make every layer of the model look at `cancelled`, so that a long prompt can be left too.

        On an HPU a recorded graph runs no Python: there a prompt is read to its end first.
        """
        names = set(getattr(self._model, "_no_split_modules", None) or ())

        def check(*_: object) -> None:
            if self._cancelled.is_set():
                raise Cancelled

        for module in self._model.modules():  # type: ignore[attr-defined]
            if type(module).__name__ in names:
                module.register_forward_pre_hook(check)


class _Streamer:
    """A streamer as transformers knows it: it gets the prompt's ids first, then each new one."""

    def __init__(self, put: Callable[[int], None]) -> None:
        self._put = put
        self._begun = False

    def put(self, value: object) -> None:
        if self._begun:
            for token in value.flatten().tolist():  # type: ignore[attr-defined]
                self._put(token)
        self._begun = True

    def end(self) -> None:
        """Nothing is held back."""


def _find_ends(model: Model, tokenizer: Tokenizer) -> frozenset[int]:
    """The tokens that end an answer; a model may have several."""
    declared = getattr(model.generation_config, "eos_token_id", None)
    ends = declared if isinstance(declared, list) else [declared]
    return frozenset(token for token in (*ends, tokenizer.eos_token_id) if isinstance(token, int))


def _locate(source: str | Path) -> tuple[str, dict[str, str]]:
    """The name by which transformers finds a model, and its option for a GGUF file."""
    if isinstance(source, Path) and source.suffix == ".gguf":
        return str(source.parent), {"gguf_file": source.name}
    return str(source), {}
