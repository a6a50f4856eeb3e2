"""A random two-layer network and random token sequences, small enough for float64 in every test."""

from __future__ import annotations

import random
from typing import Any

import torch

from yearling.models.decoder_config import DecoderConfig
from yearling.models.llama_decoder import LlamaDecoder
from yearling.training.data.packing import TrainingExample
from yearling.training.policy.policy import Policy

# Matrices of this size are multiplied faster by one thread than they are handed to two.
torch.set_num_threads(1)

BASE = "ab" * 32
VOCAB = 61


def tiny_decoder(dtype: torch.dtype = torch.float64, seed: int = 3, **changes: Any) -> LlamaDecoder:
    sizes: dict[str, Any] = {
        "family": "llama", "vocab_size": VOCAB, "hidden_size": 32, "num_layers": 2, "context_tokens": 256, "num_heads": 4,
        "num_kv_heads": 2, "head_dim": 8, "ffn_size": 48, "norm_eps": 1e-5, "rope_theta": 1e4, "tied_embeddings": True,
    }  # fmt: skip
    torch.manual_seed(seed)
    decoder = LlamaDecoder(DecoderConfig(**(sizes | changes)))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(1.0 if parameter.dim() == 1 else 0.0, 0.3)
    return decoder.to(dtype).eval()


def tiny_policy(
    dtype: torch.dtype = torch.float64, *, full: bool = False, trained: bool = True, device: str = "cpu", **changes: Any
) -> Policy:
    """A policy that has left its base (unless `trained` is false), so that nothing is zero by accident."""
    decoder = tiny_decoder(dtype, **changes)
    if full:
        policy = Policy.full(decoder, base_sha256=BASE, device=device)
    else:
        policy = Policy.lora(decoder, base_sha256=BASE, rank=3, seed=1, device=device)
    decoder.to(dtype)
    if trained:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in policy.parameters():
                drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(drawn.to(device, dtype) * 0.1)
    return policy


def random_group(rng: random.Random, group: int, *, prompt: int, answers: tuple[int, ...]) -> list[TrainingExample]:
    start = rng.choices(range(VOCAB), k=prompt)
    return [TrainingExample.from_prompt_and_answer(start, rng.choices(range(VOCAB), k=length), group=group) for length in answers]


def random_pairs(count: int, seed: int = 0, *, longest: int = 12) -> list[TrainingExample]:
    """First and second answers of `count` groups, in turns."""
    rng = random.Random(seed)
    return [
        example
        for group in range(count)
        for example in random_group(
            rng, group, prompt=rng.randint(1, longest), answers=(rng.randint(1, longest), rng.randint(1, longest))
        )
    ]
