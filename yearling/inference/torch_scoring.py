"""Log-probabilities of given tokens, and embeddings, by teacher-forced passes of a decoder.

Both are generators that yield between passes of bounded size, so that the caller can do other work in between; the result is
the generator's return value. Logits never exist for more than a chunk of tokens. Independent of sampling.

Shapes: B sequences, T tokens, E model width, N tokens of a chunk, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from yearling.errors import BadInput
from yearling.inference.engine import Token
from yearling.inference.torch_weights import compute_logits
from yearling.models import Cache, Decoder

TOKENS_PER_PASS = 512
"""Tokens per pass, padding included."""

LOGIT_ROWS = 64
"""Rows of logits that exist at once."""


def score_sequences(
    decoder: Decoder, sequences: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> Generator[None, None, list[list[float]]]:
    """For each (prompt, answer): the log-probability in nats of every answer token at temperature 1, from float32 logits.

    Raises BadInput for an answer without a prompt, or a token id that the model does not have.
    """
    for prompt, answer in sequences:
        check_token_ids(decoder, [*prompt, *answer])
        if answer and not prompt:
            raise BadInput("The first token of a text has no probability without a prompt.", param="prompt_ids")
    inputs = [[*prompt, *answer][:-1] if answer else [] for prompt, answer in sequences]
    scores: list[list[float]] = [[] for _ in sequences]
    for index, start, hidden_NE in _iter_hidden_states(decoder, inputs):
        if hidden_NE is None:
            yield
            continue
        prompt, answer = sequences[index]
        # The state at position p predicts the token at p + 1.
        first_row = max(0, len(prompt) - 1 - start)
        targets = torch.tensor([*prompt, *answer][start + first_row + 1 : start + len(hidden_NE) + 1])
        scores[index] += target_logprobs(decoder, hidden_NE[first_row:], targets)
    return scores


def score_tokens(decoder: Decoder, ids: Sequence[int], *, first: int, num_top: int) -> Generator[None, None, list[Token]]:
    """The tokens `ids[first:]` with their log-probabilities, and the `num_top` likeliest tokens at each place.

    Raises BadInput for a token id that the model does not have.
    """
    check_token_ids(decoder, ids)
    tokens: list[Token] = []
    for _, start, hidden_NE in _iter_hidden_states(decoder, [ids[:-1]]):
        if hidden_NE is None:
            yield
            continue
        # The state at position p predicts the token at p + 1.
        first_row = max(0, first - 1 - start)
        targets = ids[start + first_row + 1 : start + len(hidden_NE) + 1]
        tokens += _tokens_with_alternatives(decoder, hidden_NE[first_row:], targets, num_top)
    return tokens


@torch.inference_mode()
def _tokens_with_alternatives(decoder: Decoder, hidden_NE: Tensor, targets: Sequence[int], num_top: int) -> list[Token]:
    tokens: list[Token] = []
    for start in range(0, len(targets), LOGIT_ROWS):
        chunk = targets[start : start + LOGIT_ROWS]
        logits_NV = compute_logits(decoder, hidden_NE[start : start + LOGIT_ROWS])
        logprobs_NV = logits_NV - logits_NV.logsumexp(-1, keepdim=True)
        values_NK, ids_NK = logprobs_NV.topk(num_top)
        own_N = logprobs_NV.gather(1, torch.tensor(chunk)[:, None])[:, 0].tolist()
        for token_id, logprob, values, top_ids in zip(chunk, own_N, values_NK.tolist(), ids_NK.tolist(), strict=True):
            tokens.append(Token(id=token_id, logprob=logprob, top_logprobs=tuple(zip(top_ids, values, strict=True))))
    return tokens


def embed_sequences(decoder: Decoder, sequences: Sequence[Sequence[int]]) -> Generator[None, None, list[list[float]]]:
    """The L2-normalised mean of the last hidden states of each sequence. Raises BadInput for an empty sequence."""
    for ids in sequences:
        check_token_ids(decoder, ids)
        if not ids:
            raise BadInput("The text to embed is empty.", param="input")
    sums = torch.zeros(len(sequences), decoder.config.hidden_size)
    for index, _, hidden_NE in _iter_hidden_states(decoder, sequences):
        if hidden_NE is None:
            yield
            continue
        sums[index] += hidden_NE.float().sum(0)
    return torch.nn.functional.normalize(sums, dim=-1).tolist()


@torch.inference_mode()
def target_logprobs(decoder: Decoder, hidden_NE: Tensor, targets_N: Tensor) -> list[float]:
    """log p(target) of each state, in float32, with one chunk of logits at a time."""
    logprobs: list[float] = []
    for states, targets in zip(torch.split(hidden_NE, LOGIT_ROWS), torch.split(targets_N, LOGIT_ROWS), strict=True):
        logits_NV = compute_logits(decoder, states)
        target_logits_N = logits_NV.gather(1, targets[:, None])[:, 0]
        logprobs += (target_logits_N - logits_NV.logsumexp(-1)).tolist()
    return logprobs


def check_token_ids(decoder: Decoder, ids: Sequence[int]) -> None:
    """Raises BadInput for an id that the model does not have."""
    if ids and not 0 <= min(ids) <= max(ids) < decoder.config.vocab_size:
        raise BadInput("The text contains a token id that the model does not have.", param="prompt_ids")


def _iter_hidden_states(decoder: Decoder, inputs: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, Tensor | None]]:
    """(sequence, first position, hidden states (N, E)) for all tokens of all sequences; (…, None) after each pass."""
    order = sorted((index for index, ids in enumerate(inputs) if ids), key=lambda index: len(inputs[index]))
    for group in _group_by_length(order, [len(ids) for ids in inputs]):
        if len(inputs[group[-1]]) > TOKENS_PER_PASS:
            yield from _iter_long_sequence(decoder, group[0], inputs[group[0]])
            continue
        ids_BT = pad_sequence([torch.tensor(inputs[index]) for index in group], batch_first=True)
        hidden_BTE = _hidden(decoder, ids_BT)
        for index, states_TE in zip(group, hidden_BTE, strict=True):
            # Tokens never see the padding on their right.
            yield index, 0, states_TE[: len(inputs[index])]
        yield group[0], 0, None


def _iter_long_sequence(decoder: Decoder, index: int, ids: Sequence[int]) -> Iterator[tuple[int, int, Tensor | None]]:
    with torch.inference_mode():
        cache = decoder.new_cache(num_slots=1, capacity_tokens=len(ids))
    for start in range(0, len(ids), TOKENS_PER_PASS):
        ids_1T = torch.tensor([ids[start : start + TOKENS_PER_PASS]])
        yield index, start, _hidden(decoder, ids_1T, cache)[0]
        yield index, start, None


@torch.inference_mode()
def _hidden(decoder: Decoder, ids_BT: Tensor, cache: Cache | None = None) -> Tensor:
    return decoder.hidden(ids_BT, cache=None if cache is None else cache.rows([0]))


def _group_by_length(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Split the order, shortest first, into groups that fit a pass when padded to their longest sequence."""
    group: list[int] = []
    for index in order:
        if group and lengths[index] * (len(group) + 1) > TOKENS_PER_PASS:
            yield group
            group = []
        group.append(index)
    if group:
        yield group
