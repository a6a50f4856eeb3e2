"""Samples answers for training with the trainer's own network: batched, with a key/value cache, token in and token out.

The sampling network is the one that learns, adapter included. The log-probability stored with a token therefore equals the
trainer's, up to the rounding of a differently shaped batch, and no weights are copied after an update. Only the temperature
changes the distribution: there is no top-p, no top-k and no penalty. A prompt that several requests share is computed once and
its cache is copied. A finished row is replaced by the last one, and free rows are given to waiting requests, so no row of a step
is idle.

The tokens of an episode depend on its own seed, never on the other rows (except for rounding). A callback supplies the
environment's replies, and the row continues from its cache. Knows no rewards.

Shapes: B rows, T tokens, E model width, V vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from yearling.inference import make_decoding_view, random_stream, refresh_decoding_view, sample_from_probabilities
from yearling.models import Cache, Decoder
from yearling.training.data.packing import common_prefix_length

MAX_ROWS = {"cpu": 64, "cuda": 256}
"""Maximum rows of a step, by device; further requests wait. On a GPU a step takes as long for many rows as for few."""
_PREFILL_TOKENS = 2048
"""Maximum prompt tokens computed in one pass, padding included."""


@dataclass(frozen=True, slots=True)
class EpisodeRequest:
    """One episode to sample. `max_tokens` bounds each answer, `max_episode_tokens` everything after the prompt, replies
    included."""

    prompt_ids: tuple[int, ...]
    seed: int
    max_tokens: int
    max_episode_tokens: int


@dataclass(slots=True)
class Episode:
    """A sampled episode. `ids` start with the prompt. `sampled` marks the ids that the model sampled, with their `logprobs`.

    `truncated` is True if a token limit ended the episode."""

    ids: list[int]
    sampled: list[bool]
    logprobs: list[float] = field(default_factory=list)
    truncated: bool = False


EnvironmentReply = Callable[[int, Sequence[int]], Sequence[int] | None]
"""(index of the request, ids of the answer that just ended) -> the ids that follow it, or None if the episode is over."""


@dataclass(eq=False, slots=True)
class _Row:
    """An episode being sampled, in one row of the batch."""

    index: int
    request: EpisodeRequest
    episode: Episode
    rng: np.random.Generator
    answer_ids: list[int] = field(default_factory=list)
    pending_ids: list[int] = field(default_factory=list)
    """Ids of the episode that are not in the cache yet. The next token is sampled after the last of them."""


class Sampler:
    """Samples episodes from a decoder. One sampler serves a whole run and follows every update of the network's weights.

    `stop_ids` end an answer and belong to it. `frozen_base` says that only an adapter is trained; base and adapter may then be
    packed into faster weights after each update, unless `packed` is False. `max_rows` 0 is the default of the device.
    """

    def __init__(
        self, decoder: Decoder, *, stop_ids: frozenset[int], frozen_base: bool, max_rows: int = 0, packed: bool = True
    ) -> None:
        packable = frozen_base and packed and decoder.dtype == torch.float32 and bool(torch.backends.mkldnn.enabled)
        device = next(decoder.parameters()).device.type
        self._decoder = make_decoding_view(decoder, packed=packable and device == "cpu")
        self._stop_ids = stop_ids
        self._max_rows = max_rows or MAX_ROWS[device]
        self.num_sampled_tokens = 0
        """Tokens sampled so far."""
        self.num_forward_tokens = 0
        """Tokens that went through the network so far."""

    @torch.inference_mode()
    def sample(
        self, requests: Sequence[EpisodeRequest], *, temperature: float = 1.0, reply: EnvironmentReply | None = None
    ) -> list[Episode]:
        """The episodes of all requests, in their order.

        Temperature 0 takes the likeliest token and stores its log-probability at temperature 1. Requests with the same prompt
        should be adjacent. Raises ValueError if the logits are not finite."""
        if not requests:
            return []
        refresh_decoding_view(self._decoder)
        capacity = max(len(request.prompt_ids) + request.max_episode_tokens for request in requests)
        cache = self._decoder.new_cache(num_slots=min(self._max_rows, len(requests)), capacity_tokens=capacity)
        queue, prompts = deque(enumerate(requests)), _PromptCache(self._decoder)
        episodes: dict[int, Episode] = {}
        rows: list[_Row] = []
        while queue or rows:
            new_rows, logits_BV = self._admit_requests(queue, rows, prompts, cache)
            if new_rows:
                self._sample_tokens(new_rows, logits_BV, temperature)
                self._finish_answers(rows, cache, episodes, reply)
            self._read_replies(rows, cache, temperature, episodes, reply)
            if rows:
                ids_B1 = torch.tensor([row.pending_ids for row in rows], device=self._device)
                hidden_B1E = self._decoder.hidden(ids_B1, cache=cache.rows(range(len(rows))))
                self._sample_tokens(rows, self._logits(hidden_B1E[:, 0]), temperature)
                self._finish_answers(rows, cache, episodes, reply)
        self.num_forward_tokens += prompts.num_forward_tokens
        return [episodes[index] for index in range(len(requests))]

    @property
    def _device(self) -> torch.device:
        return next(self._decoder.parameters()).device

    def _logits(self, hidden_BE: Tensor) -> Tensor:
        self.num_forward_tokens += hidden_BE.shape[0]
        logits: Tensor = self._decoder.lm_head(hidden_BE)
        return logits

    def _admit_requests(
        self, queue: deque[tuple[int, EpisodeRequest]], rows: list[_Row], prompts: _PromptCache, cache: Cache
    ) -> tuple[list[_Row], Tensor]:
        """Give free rows to waiting requests. Returns (new rows, logits after their prompts (B, V))."""
        num_free = len(cache.lengths) - len(rows)
        admitted = [queue.popleft() for _ in range(min(num_free, len(queue)))]
        prompts.compute([request.prompt_ids for _, request in admitted], upcoming=[request.prompt_ids for _, request in queue])
        new_rows = []
        for number, job in admitted:
            slot = len(rows)
            cache.reset(slot)
            prompts.copy_to(job.prompt_ids, cache, slot)
            episode = Episode(list(job.prompt_ids), [False] * len(job.prompt_ids))
            row = _Row(number, job, episode, random_stream(job.seed))
            rows.append(row)
            new_rows.append(row)
        logits = torch.stack([prompts.logits(row.request.prompt_ids) for row in new_rows]) if new_rows else torch.empty(0)
        prompts.retain({request.prompt_ids for _, request in queue})
        return new_rows, logits

    def _sample_tokens(self, rows: Sequence[_Row], logits_BV: Tensor, temperature: float) -> None:
        """Sample a token for each row and store it with its log-probability."""
        ids, logprobs = sample_tokens(logits_BV, [float(row.rng.random()) for row in rows], temperature)
        self.num_sampled_tokens += len(rows)
        for row, token, logprob in zip(rows, ids, logprobs, strict=True):
            row.answer_ids.append(token)
            row.pending_ids = [token]
            row.episode.ids.append(token)
            row.episode.sampled.append(True)
            row.episode.logprobs.append(logprob)

    def _finish_answers(
        self, rows: list[_Row], cache: Cache, episodes: dict[int, Episode], reply: EnvironmentReply | None
    ) -> None:
        """Continue ended answers with the environment's reply, or complete their episodes; the last row takes a freed place."""
        for slot in range(len(rows) - 1, -1, -1):
            row = rows[slot]
            if not row.answer_ids:
                continue  # the row has not read the reply yet
            num_used = len(row.episode.ids) - len(row.request.prompt_ids)
            if row.answer_ids[-1] in self._stop_ids:
                reply_ids = None if reply is None else reply(row.index, tuple(row.answer_ids))
                if reply_ids is not None and num_used + len(reply_ids) < row.request.max_episode_tokens:
                    row.episode.ids.extend(reply_ids)
                    row.episode.sampled.extend([False] * len(reply_ids))
                    row.pending_ids.extend(reply_ids)
                    row.answer_ids = []
                    continue
                row.episode.truncated = reply_ids is not None
            elif len(row.answer_ids) < row.request.max_tokens and num_used < row.request.max_episode_tokens:
                continue
            else:
                row.episode.truncated = True
            episodes[row.index] = row.episode
            last = rows.pop()
            if last is not row:
                cache.reset(slot)
                cache.copy(len(rows), [slot])
                rows[slot] = last

    def _read_replies(
        self, rows: list[_Row], cache: Cache, temperature: float, episodes: dict[int, Episode], reply: EnvironmentReply | None
    ) -> None:
        """Compute the environment's replies, each in a pass of its own, and sample the first token after each."""
        while (slot := next((slot for slot, row in enumerate(rows) if len(row.pending_ids) > 1), None)) is not None:
            row = rows[slot]
            ids_1T = torch.tensor([row.pending_ids], device=self._device)
            hidden_1TE = self._decoder.hidden(ids_1T, cache=cache.rows([slot]))
            self.num_forward_tokens += len(row.pending_ids) - 1
            self._sample_tokens([row], self._logits(hidden_1TE[:, -1]), temperature)
            self._finish_answers(rows, cache, episodes, reply)


class _PromptCache:
    """Computed prompts that waiting requests still need: one cache for each pass, and the logits after each prompt."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._entries: dict[tuple[int, ...], tuple[Cache, int, Tensor]] = {}
        self.num_forward_tokens = 0

    def compute(self, prompts: Sequence[tuple[int, ...]], *, upcoming: Sequence[tuple[int, ...]]) -> None:
        """Compute the prompts that are missing. If a pass has tokens to spare, it also computes upcoming prompts."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._entries]
        if not missing:
            return
        for prompt in dict.fromkeys(upcoming):
            if (len(missing) + 1) * max(map(len, [*missing, prompt])) > _PREFILL_TOKENS:
                break
            if prompt not in self._entries and prompt not in missing:
                missing.append(prompt)
        missing.sort(key=len)
        while missing:
            count = 1
            while count < len(missing) and (count + 1) * len(missing[count]) <= _PREFILL_TOKENS:
                count += 1
            self._compute(missing[:count])
            missing = missing[count:]

    def _compute(self, prompts: Sequence[tuple[int, ...]]) -> None:
        device = next(self._decoder.parameters()).device
        cache = self._decoder.new_cache(num_slots=len(prompts), capacity_tokens=max(map(len, prompts)))
        # A prefix that all prompts share (few-shot examples, a system message) is computed once.
        common = common_prefix_length([prompt[:-1] for prompt in prompts]) if len(prompts) > 1 else 0
        if common:
            self._decoder.hidden(torch.tensor([prompts[0][:common]], device=device), cache=cache.rows([0]))
            cache.copy(0, range(1, len(prompts)))
        lengths = [len(prompt) - common for prompt in prompts]
        ids_BT = torch.zeros(len(prompts), max(lengths), dtype=torch.long, device=device)
        for row, prompt in enumerate(prompts):
            ids_BT[row, : lengths[row]] = torch.tensor(prompt[common:])
        hidden_BTE = self._decoder.hidden(ids_BT, cache=cache.rows(range(len(prompts)), lengths))
        ends_B = torch.tensor(lengths, device=device) - 1
        logits_BV = self._decoder.lm_head(hidden_BTE[torch.arange(len(prompts), device=device), ends_B])
        self.num_forward_tokens += common + sum(lengths)
        for row, prompt in enumerate(prompts):
            self._entries[prompt] = (cache, row, logits_BV[row])

    def copy_to(self, prompt: tuple[int, ...], cache: Cache, slot: int) -> None:
        """Copy a prompt's keys and values into a slot of another cache."""
        source, source_slot, _ = self._entries[prompt]
        cache.copy_from(slot, source, source_slot)

    def logits(self, prompt: tuple[int, ...]) -> Tensor:
        """The logits after a prompt, (V,)."""
        return self._entries[prompt][2]

    def retain(self, prompts: set[tuple[int, ...]]) -> None:
        """Forget all other prompts."""
        self._entries = {prompt: entry for prompt, entry in self._entries.items() if prompt in prompts}


def sample_tokens(logits_BV: Tensor, uniforms: Sequence[float], temperature: float) -> tuple[list[int], list[float]]:
    """(ids, log-probabilities) of one sample per row from softmax(logits / temperature).

    `uniforms` are the rows' random numbers in [0, 1). Temperature 0 takes the likeliest token, with its log-probability at
    temperature 1. Raises ValueError if the logits are not finite."""
    logits_BV = logits_BV.to(torch.promote_types(logits_BV.dtype, torch.float32))
    if temperature > 0 and temperature != 1:
        logits_BV = logits_BV / temperature
    log_sum_B = logits_BV.logsumexp(-1)
    if not bool(torch.isfinite(log_sum_B).all()):
        raise ValueError("The model's logits are not finite.")
    if temperature == 0:
        ids = logits_BV.argmax(-1).tolist()
    else:
        ids = sample_from_probabilities((logits_BV - log_sum_B[:, None]).exp_(), uniforms)
    sampled_B = logits_BV.gather(1, torch.tensor(ids, device=logits_BV.device)[:, None])[:, 0]
    return ids, (sampled_B - log_sum_B).tolist()
