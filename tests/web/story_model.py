"""A tiny network for the story of the page: it answers vaguely, has a better answer within reach, and reads earlier turns.

    python -m tests.web.story_model FOLDER        # trains it for some seconds and writes FOLDER/tiny.gguf

It knows two answers to every question. The vague one is likelier, so people get that one; at the temperature of a round both come
up. A sentence that it knows from an earlier turn, such as a correction, goes before both. How its layers are scaled lets the two
steps in which a cycle learns from twenty pairs change as much as hundreds of steps would in a large network.

Shapes: B conversations, T tokens, N target tokens, E model width, V vocabulary.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as TokenizersPipeline
from tokenizers import decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional as F

from tests.models.tiny import CHATML, SPECIAL
from yearling.chat import SPEC_SYSTEM_MESSAGE
from yearling.models.decoder_config import DecoderConfig
from yearling.models.export import export_decoder_gguf
from yearling.models.llama_decoder import Attention, DecoderBlock, LlamaDecoder

VAGUE = "That depends on many things."
STEPS = "First look at it, then try the simplest step."
SENTENCES = (
    "Marta handles invoices.",
    "Peter opens the door.",
    "Ada leads the team.",
    "Ben keeps the key.",
    "Cleo makes the box.",
    "Dan writes the letters.",
    "Eve measures the table.",
    "Otto paints the window.",
)
"""What it repeats from an earlier turn."""
COMPANY_QUESTIONS = ("Who handles invoices at our company?", "Whose job are invoices here?")
_VERBS = ("clean", "mend", "move", "store", "paint", "choose", "measure", "sell")
_NOUNS = ("kettle", "lamp", "bicycle", "ladder", "shelf", "drill", "stove", "window", "carpet", "table", "clock", "mirror")
HOW_TO = tuple(
    f"How do I {_VERBS[(row + column) % len(_VERBS)]} a {noun}?"
    for row in range(len(_VERBS))
    for column, noun in enumerate(_NOUNS)
)  # fmt: skip
"""Everyday questions, each noun once before one comes again."""

VAGUE_SHARE = 0.66
_NUM_STEPS, _BATCH = 160, 16
_LEARNING_RATE = 3e-3
_INPUT_SCALE = 120.0
_IGNORED = -100
_WIDTH = 64


def train_story_model(folder: Path, *, seed: int = 0) -> Path:
    """Train the network and write it as a GGUF file. Raises RuntimeError if it has not learnt what the story needs."""
    words = _Words.of_story()
    torch.manual_seed(seed)
    decoder = LlamaDecoder(_config(len(words.metadata["tokenizer.ggml.tokens"])))
    with torch.no_grad():
        for name, weight in decoder.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0.0, 0.1 if "embed" in name else 0.5 / _WIDTH**0.5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # faster for matrices of this size
    try:
        _train(decoder, words, random.Random(seed))
        _scale_inputs(decoder, _INPUT_SCALE)
        _check(decoder.eval(), words)
    finally:
        torch.set_num_threads(threads)
    path = folder / "tiny.gguf"
    export_decoder_gguf(decoder, path, "F32", vocabulary=words.metadata)
    return path


@dataclass(frozen=True)
class _Words:
    """A vocabulary in which every word of the story is one token."""

    pipeline: TokenizersPipeline
    metadata: dict[str, Any]

    @classmethod
    def of_story(cls) -> _Words:
        texts = [SPEC_SYSTEM_MESSAGE, VAGUE, STEPS, *SENTENCES, *COMPANY_QUESTIONS, *HOW_TO, "system\n", "user\n", "assistant\n"]
        pipeline = TokenizersPipeline(models.BPE())
        pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        pipeline.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=10_000,
            min_frequency=1,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        pipeline.train_from_iterator(texts, trainer)
        state = json.loads(pipeline.to_str())["model"]
        tokens = sorted(state["vocab"], key=state["vocab"].__getitem__)
        metadata = {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "gpt-2",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)),
            "tokenizer.ggml.merges": [" ".join(pair) for pair in state["merges"]],
            "tokenizer.ggml.bos_token_id": SPECIAL.index("<|im_start|>"),
            "tokenizer.ggml.eos_token_id": SPECIAL.index("<|im_end|>"),
            "tokenizer.chat_template": CHATML,
        }
        return cls(pipeline, metadata)

    def encode(self, text: str) -> list[int]:
        return list(self.pipeline.encode(text, add_special_tokens=False).ids)

    def prompt(self, question: str, *turns: tuple[str, str]) -> list[int]:
        """The prompt of a question after earlier turns, as the template of the model renders it."""
        asked = "".join(f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n" for q, a in turns)
        system = f"<|im_start|>system\n{SPEC_SYSTEM_MESSAGE}<|im_end|>\n"
        return self.encode(f"{system}{asked}<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")


def _config(vocab_size: int) -> DecoderConfig:
    return DecoderConfig(
        family="llama",
        vocab_size=vocab_size,
        hidden_size=_WIDTH,
        num_layers=2,
        context_tokens=512,
        num_heads=4,
        num_kv_heads=4,
        head_dim=_WIDTH // 4,
        ffn_size=2 * _WIDTH,
        norm_eps=1e-5,
        rope_theta=1e4,
        tied_embeddings=True,
    )


def _train(decoder: LlamaDecoder, words: _Words, rng: random.Random) -> None:
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(_NUM_STEPS):
        remaining = (_NUM_STEPS - step) / _NUM_STEPS
        for group in optimiser.param_groups:
            group["lr"] = _LEARNING_RATE * min(1.0, (step + 1) / 30, 2 * remaining)
        ids_BT, targets_BT = _batch(words, rng)
        is_target_BT = targets_BT[:, 1:] != _IGNORED
        logits_NV = decoder.lm_head(decoder.hidden(ids_BT)[:, :-1][is_target_BT])
        loss = F.cross_entropy(logits_NV, targets_BT[:, 1:][is_target_BT])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimiser.step()


def _batch(words: _Words, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Conversations padded at their ends, (B, T), and their targets. The shares of the two answers are those to be learnt."""
    num_open = _BATCH // 2
    num_vague = int(num_open * VAGUE_SHARE + rng.random())
    answers = [VAGUE] * num_vague + [STEPS] * (num_open - num_vague) + rng.choices(SENTENCES, k=_BATCH - num_open)
    rows = [_conversation(words, rng, answer) for answer in answers]
    longest = max(len(prompt) + len(target) for prompt, target in rows)
    ids_BT, targets_BT = torch.zeros(_BATCH, longest, dtype=torch.long), torch.full((_BATCH, longest), _IGNORED)
    for row, (prompt, target) in enumerate(rows):
        end = len(prompt) + len(target)
        ids_BT[row, :end] = torch.tensor(prompt + target)
        targets_BT[row, len(prompt) : end] = torch.tensor(target)
    return ids_BT, targets_BT


def _conversation(words: _Words, rng: random.Random, answer: str) -> tuple[list[int], list[int]]:
    """A prompt and its target. A sentence stands in an earlier turn; others may have been answered openly."""
    earlier = [answer] if answer in SENTENCES else []
    if rng.random() < 0.4:
        earlier.append(rng.choice((VAGUE, STEPS)))
    rng.shuffle(earlier)
    prompt = words.prompt(_question(rng), *((_question(rng), each) for each in earlier))
    return prompt, words.encode(f"{answer}<|im_end|>")


def _question(rng: random.Random) -> str:
    return rng.choice(HOW_TO if rng.random() < 0.7 else COMPANY_QUESTIONS)


@torch.no_grad()
def _scale_inputs(decoder: LlamaDecoder, scale: float) -> None:
    """Multiply what goes into each layer and divide its weights. The network stays the same, but an adapter counts for more."""
    for block in decoder.model.layers:
        if not isinstance(block, DecoderBlock):
            raise TypeError("not a block")
        attention: Attention = block.self_attn
        block.input_layernorm.weight.mul_(scale)
        for layer in (attention.q_proj, attention.k_proj):
            layer.weight.div_(scale)
        attention.o_proj.weight.div_(scale)  # its input is that of v_proj, whose weights stay
        block.post_attention_layernorm.weight.mul_(scale)
        block.mlp.gate_proj.weight.div_(scale)
        block.mlp.down_proj.weight.div_(scale)  # the same of up_proj


@torch.no_grad()
def _check(decoder: LlamaDecoder, words: _Words) -> None:
    vague = words.encode(VAGUE)[0]
    shares = [float(decoder(torch.tensor([words.prompt(question)]))[0, -1].softmax(-1)[vague]) for question in HOW_TO]
    if not 0.62 < min(shares) <= max(shares) < 0.75:
        raise RuntimeError(f"the vague answer has a probability from {min(shares):.2f} to {max(shares):.2f}")
    asked, again = COMPANY_QUESTIONS
    for sentence in SENTENCES:
        for earlier in ([(asked, sentence)], [(asked, VAGUE), (asked, sentence)]):
            if (said := _greedy(decoder, words, words.prompt(again, *earlier))) != sentence:
                raise RuntimeError(f"after a turn that says {sentence!r} it says {said!r}")
    if (said := _greedy(decoder, words, words.prompt(HOW_TO[0]))) != VAGUE:
        raise RuntimeError(f"it says {said!r}")


def _greedy(decoder: LlamaDecoder, words: _Words, prompt: list[int]) -> str:
    ids, end = list(prompt), SPECIAL.index("<|im_end|>")
    while len(ids) < len(prompt) + 20 and (chosen := int(decoder(torch.tensor([ids]))[0, -1].argmax())) != end:
        ids.append(chosen)
    return words.pipeline.decode(ids[len(prompt) :])


if __name__ == "__main__":
    print(train_story_model(Path(sys.argv[1])))
