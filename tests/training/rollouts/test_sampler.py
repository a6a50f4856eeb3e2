from __future__ import annotations

import gc
import random
from collections.abc import Sequence

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from tests.training.networks import VOCAB_SIZE, tiny_policy
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.sampler import Episode, EpisodeRequest, Sampler, sample_tokens

STOP = 3
ROUNDING = 1e-9
"""Largest difference of log-probabilities in float64 between matrix products of different shapes."""


def make_sampler(policy: Policy, rows: int = 4) -> Sampler:
    return Sampler(policy.decoder, stop_ids=frozenset({STOP}), frozen_base=True, max_rows=rows)


def random_requests(count: int, *, per_prompt: int = 3, tokens: int = 9, seed: int = 0) -> list[EpisodeRequest]:
    rng = random.Random(seed)
    prompts = [(5, 6, 7, *rng.choices(range(4, VOCAB_SIZE), k=rng.randint(1, 12))) for _ in range(count)]
    return [EpisodeRequest(prompt, rng.getrandbits(60), tokens, tokens) for prompt in prompts for _ in range(per_prompt)]


def trainer_logprobs(policy: Policy, episodes: Sequence[Episode], temperature: float = 1.0) -> list[list[float]]:
    """The trainer's log-probabilities of the sampled tokens of each episode."""
    examples = [TrainingExample(tuple(episode.ids), tuple(episode.sampled), index) for index, episode in enumerate(episodes)]
    by_episode: list[list[float]] = [[] for _ in episodes]
    for batch in pack_examples(examples, budget_tokens=64):
        logprobs = policy.token_logprobs(batch, temperature=temperature).tolist()
        for owner, logprob in zip(batch.owners_N.tolist(), logprobs, strict=True):
            by_episode[owner].append(logprob)
    return by_episode


def assert_sampler_agrees_with_trainer(
    policy: Policy, episodes: Sequence[Episode], *, temperature: float = 1.0, tolerance: float = ROUNDING
) -> None:
    for episode, logprobs in zip(episodes, trainer_logprobs(policy, episodes, temperature), strict=True):
        assert episode.logprobs == pytest.approx(logprobs, abs=tolerance)


@pytest.mark.parametrize("temperature", [1.0, 0.7, 1.6])
def test_logprobs_equal_those_of_the_trainer(temperature: float) -> None:
    policy = tiny_policy()
    episodes = make_sampler(policy).sample(random_requests(5), temperature=temperature)
    assert_sampler_agrees_with_trainer(policy, episodes, temperature=temperature)


@pytest.mark.parametrize("trainer_temperature", [1.0, 0.9])
def test_comparison_detects_a_trainer_with_the_wrong_temperature(trainer_temperature: float) -> None:
    policy = tiny_policy()
    episodes = make_sampler(policy).sample(random_requests(5), temperature=0.7)
    wrong = trainer_logprobs(policy, episodes, trainer_temperature)
    differences = [
        abs(sampled - computed)
        for episode, logprobs in zip(episodes, wrong, strict=True)
        for sampled, computed in zip(episode.logprobs, logprobs, strict=True)
    ]
    assert max(differences) > 0.1


def test_comparison_detects_a_distribution_truncated_by_top_p() -> None:
    """A sampler with top-p 0.8 would store log-probabilities that differ from the trainer's."""
    logits = torch.randn(1, VOCAB_SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2
    probs = logits.softmax(-1)[0]
    by_probability = probs.argsort(descending=True)
    kept = by_probability[: int((probs[by_probability].cumsum(0) < 0.8).sum()) + 1]
    ids, logprobs = sample_tokens(logits, [0.3], 1.0)
    assert logprobs[0] == pytest.approx(float(probs[ids[0]].log()), abs=1e-6)
    top_p_logits = torch.full_like(logits, -torch.inf)
    top_p_logits[0, kept] = logits[0, kept]
    ids, logprobs = sample_tokens(top_p_logits, [0.3], 1.0)
    assert abs(logprobs[0] - float(probs[ids[0]].log())) > 0.1


@pytest.mark.slow
def test_batching_never_changes_the_sampled_tokens() -> None:
    policy, requests = tiny_policy(), random_requests(6, per_prompt=2)
    alone = [make_sampler(policy, rows=1).sample([request])[0] for request in requests]
    for rows in (2, 5, 64):
        batched = make_sampler(policy, rows=rows).sample(requests)
        assert [episode.ids for episode in batched] == [episode.ids for episode in alone]
        for episode, expected in zip(batched, alone, strict=True):
            assert episode.logprobs == pytest.approx(expected.logprobs, abs=ROUNDING)


def test_answers_end_with_a_stop_token_or_are_truncated() -> None:
    requests = random_requests(8, per_prompt=4, tokens=30)
    episodes = make_sampler(tiny_policy()).sample(requests)
    assert {episode.truncated for episode in episodes} == {True, False}
    for request, episode in zip(requests, episodes, strict=True):
        answer = episode.ids[len(request.prompt_ids) :]
        assert STOP not in answer[:-1]
        assert episode.truncated == (answer[-1] != STOP)
        assert len(answer) == len(episode.logprobs) == sum(episode.sampled)
        assert not episode.truncated or len(answer) == request.max_tokens


@pytest.mark.slow
def test_samples_follow_the_distribution() -> None:
    """First tokens after one prompt against its softmax, by a chi-square statistic (61 cells, bound far in the tail)."""
    policy = tiny_policy()
    prompt = (5, 9, 11)
    episodes = make_sampler(policy, rows=64).sample([EpisodeRequest(prompt, seed, 1, 1) for seed in range(3000)])
    with torch.no_grad():
        probs = policy.decoder(torch.tensor([prompt]))[0, -1].softmax(-1)
    counts = torch.bincount(torch.tensor([episode.ids[-1] for episode in episodes]), minlength=VOCAB_SIZE)
    expected = probs * len(episodes)
    assert float(((counts - expected) ** 2 / expected.clamp(min=1)).sum()) < 130


def test_any_integer_is_a_seed() -> None:
    policy = tiny_policy()
    requests = [EpisodeRequest((5, 9, 11), seed, 8, 8) for seed in (-1, 2**128, 2**200, 0, 2**128 - 1)]
    episodes = make_sampler(policy).sample(requests)
    # Seeds are taken modulo 2**128.
    assert episodes[1].ids == episodes[3].ids
    assert episodes[0].ids == episodes[4].ids
    assert episodes[0].ids != episodes[3].ids


def test_shared_prompts_and_prefixes_are_computed_once() -> None:
    policy = tiny_policy()
    prompt = tuple(range(4, 34))
    sampler = make_sampler(policy, rows=4)
    sampler.sample([EpisodeRequest(prompt, seed, 1, 1) for seed in range(8)])
    assert sampler.num_forward_tokens == 30
    # Two prompts that differ in the last token: their common prefix is computed once.
    sampler = make_sampler(policy, rows=4)
    sampler.sample([EpisodeRequest((*prompt, token), seed, 1, 1) for seed, token in enumerate((40, 41))])
    assert sampler.num_forward_tokens == 32


def test_sampler_follows_updates_and_restored_states_of_the_policy() -> None:
    policy = tiny_policy()
    sampler, requests = make_sampler(policy), random_requests(4)
    sampler.sample(requests)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.5)
    assert_sampler_agrees_with_trainer(policy, sampler.sample(requests))
    policy.load_state_dict({name: tensor * 0 for name, tensor in policy.state_dict().items()})
    assert_sampler_agrees_with_trainer(policy, sampler.sample(requests))


def test_packed_weights_equal_unpacked_ones_up_to_float32_and_follow_updates() -> None:
    policy = tiny_policy(torch.float32)
    packed = Sampler(policy.decoder, stop_ids=frozenset({STOP}), frozen_base=True)
    for factor in (1.0, 1.5, 0.0):
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.mul_(factor)
        assert_sampler_agrees_with_trainer(policy, packed.sample(random_requests(5)), tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sampler_keeps_no_replaced_weights_alive(dtype: torch.dtype) -> None:
    """The fused trunk joins the frozen weights after the sampler was created. The original weights must be freed."""
    policy = tiny_policy(dtype)
    sampler, requests = Sampler(policy.decoder, stop_ids=frozenset({STOP}), frozen_base=True), random_requests(5)
    base_weights = [parameter for name, parameter in policy.decoder.named_parameters() if ".base." in name]
    original_weights = [StorageWeakRef(weight.untyped_storage()) for weight in base_weights]  # type: ignore[no-untyped-call]
    trainer_logprobs(policy, sampler.sample(requests))
    assert policy.trunk_implementation == "fused"
    gc.collect()
    assert len(original_weights) == 14
    assert all(weight.expired() for weight in original_weights)  # type: ignore[no-untyped-call]
    sampler.sample(requests)


def test_replies_follow_the_answer_and_are_not_marked_as_sampled() -> None:
    policy = tiny_policy()
    requests = [EpisodeRequest(request.prompt_ids, request.seed, 25, 60) for request in random_requests(6)]
    num_answers: dict[int, int] = {}

    def reply(number: int, answer: Sequence[int]) -> Sequence[int] | None:
        assert answer[-1] == STOP
        num_answers[number] = num_answers.get(number, 0) + 1
        return (7, 8, 9) if num_answers[number] < 3 else None

    episodes = make_sampler(policy).sample(requests, reply=reply)
    assert max(num_answers.values()) == 3
    for request, episode in zip(requests, episodes, strict=True):
        assert len(episode.ids) - len(request.prompt_ids) <= request.max_episode_tokens
        not_sampled = [token for token, sampled in zip(episode.ids, episode.sampled, strict=True) if not sampled]
        replies = not_sampled[len(request.prompt_ids) :]
        assert replies == [7, 8, 9] * (len(replies) // 3)
    assert_sampler_agrees_with_trainer(policy, episodes)


def test_temperature_0_takes_the_likeliest_token() -> None:
    ids, logprobs = sample_tokens(torch.tensor([[0.0, 2.0, 1.0]]), [0.99], 0)
    assert ids == [1]
    assert logprobs == pytest.approx([float(torch.tensor([0.0, 2.0, 1.0]).log_softmax(-1)[1])])


def test_raises_value_error_for_logits_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        sample_tokens(torch.tensor([[0.0, torch.nan]]), [0.5], 1.0)
