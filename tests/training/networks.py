"""A random two-layer network and random token sequences, small enough for float64 in every test."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from yearling.models.decoder_config import DecoderConfig
from yearling.models.llama_decoder import LlamaDecoder
from yearling.training.data.packing import TrainingExample
from yearling.training.policy.policy import Policy

# One thread multiplies matrices of this size faster than it could hand them to two.
torch.set_num_threads(1)

BASE_SHA256 = "ab" * 32
VOCAB_SIZE = 61


def tiny_decoder(dtype: torch.dtype = torch.float64, seed: int = 3, **changes: Any) -> LlamaDecoder:
    """A random decoder. `changes` are fields of `DecoderConfig`."""
    config: dict[str, Any] = {
        "family": "llama",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "num_layers": 2,
        "context_tokens": 256,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 8,
        "ffn_size": 48,
        "norm_eps": 1e-5,
        "rope_theta": 1e4,
        "tied_embeddings": True,
    }
    torch.manual_seed(seed)
    decoder = LlamaDecoder(DecoderConfig(**(config | changes)))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(1.0 if parameter.dim() == 1 else 0.0, 0.3)
    return decoder.to(dtype).eval()


def tiny_policy(
    dtype: torch.dtype = torch.float64, *, full: bool = False, trained: bool = True, device: str = "cpu", **changes: Any
) -> Policy:
    """A policy that differs from its base (unless `trained` is False), so that no value is zero by accident."""
    decoder = tiny_decoder(dtype, **changes)
    if full:
        policy = Policy.full(decoder, base_sha256=BASE_SHA256, device=device)
    else:
        policy = Policy.lora(decoder, base_sha256=BASE_SHA256, rank=3, seed=1, device=device)
    decoder.to(dtype)
    if trained:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in policy.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(noise.to(device, dtype) * 0.1)
    return policy


def weights_equal(policy: Policy, state: dict[str, Tensor]) -> bool:
    """Whether the trained weights are bit-equal to those of `policy.state_dict()` at an earlier time."""
    return all(torch.equal(tensor, state[name]) for name, tensor in policy.state_dict().items())


def random_group(rng: random.Random, group: int, *, prompt: int, answers: tuple[int, ...]) -> list[TrainingExample]:
    """Examples with a common random prompt. `prompt` and `answers` are lengths in tokens."""
    prompt_ids = rng.choices(range(VOCAB_SIZE), k=prompt)
    return [
        TrainingExample.from_prompt_and_answer(prompt_ids, rng.choices(range(VOCAB_SIZE), k=length), group=group)
        for length in answers
    ]


def random_pairs(count: int, seed: int = 0, *, longest: int = 12) -> list[TrainingExample]:
    """`count` groups of two answers each, of up to `longest` tokens."""
    rng = random.Random(seed)
    return [
        example
        for group in range(count)
        for example in random_group(
            rng, group, prompt=rng.randint(1, longest), answers=(rng.randint(1, longest), rng.randint(1, longest))
        )
    ]
