"""Makes a small reasoning model for a real vLLM: `python vllm_model.py GGUF FOLDER`, in vLLM's own environment.

SmolLM2-135M in Hugging Face's form, with `<think>` and `</think>` in the place of two tokens that it never uses, and
with a chat template that opens the thinking as DeepSeek-R1's does. What it says is nonsense; the format is real.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

TAGS = {"<issue_start>": "<think>", "<issue_comment>": "</think>"}
OPENED = "<|im_start|>assistant\n"


def main(source: Path, folder: Path) -> None:
    gguf = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(**gguf)
    read = AutoModelForCausalLM.from_pretrained(**gguf)
    # a model read from a GGUF file is not saved
    plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(**gguf))
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    tokenizer.chat_template = tokenizer.chat_template.replace(OPENED, f"{OPENED}<think>\n").replace(
        OPENED.replace("\n", "\\n"), f"{OPENED}<think>\n".replace("\n", "\\n")
    )
    tokenizer.save_pretrained(folder)
    tags = add_tags(folder / "tokenizer.json")
    # the two are to read as line breaks, a little less likely than one: the model has never met them
    with torch.no_grad():
        rows = plain.get_input_embeddings().weight
        rows[tags] = 0.9 * rows[tokenizer.encode("\n", add_special_tokens=False)[0]]
    plain.to(torch.bfloat16).save_pretrained(folder)


def add_tags(path: Path) -> list[int]:
    """Rename two tokens, which are then ordinary text for whoever decodes, and return their ids."""
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    for old, new in TAGS.items():
        vocabulary[new] = vocabulary.pop(old)
    for token in content["added_tokens"]:
        if token["content"] in TAGS:
            token |= {"content": TAGS[token["content"]], "special": False}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return [vocabulary[new] for new in TAGS.values()]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
