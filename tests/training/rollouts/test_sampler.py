from __future__ import annotations

import gc
import random
from collections.abc import Sequence

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from tests.training.networks import VOCAB, tiny_policy
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.sampler import Episode, EpisodeRequest, Sampler, sample_tokens

STOP = 3
CLOSE = 1e-9
"""Of log-probabilities in float64 by differently shaped matrix products."""


def sampler(policy: Policy, rows: int = 4) -> Sampler:
    return Sampler(policy.decoder, stop_ids=frozenset({STOP}), frozen_base=True, max_rows=rows)


def jobs(count: int, *, per_prompt: int = 3, tokens: int = 9, seed: int = 0) -> list[EpisodeRequest]:
    rng = random.Random(seed)
    prompts = [(5, 6, 7, *rng.choices(range(4, VOCAB), k=rng.randint(1, 12))) for _ in range(count)]
    return [EpisodeRequest(prompt, rng.getrandbits(60), tokens, tokens) for prompt in prompts for _ in range(per_prompt)]


def trainer_logprobs(policy: Policy, episodes: Sequence[Episode], temperature: float = 1.0) -> list[list[float]]:
    examples = [TrainingExample(tuple(one.ids), tuple(one.sampled), number) for number, one in enumerate(episodes)]
    found: list[list[float]] = [[] for _ in episodes]
    for batch in pack_examples(examples, budget_tokens=64):
        values = policy.token_logprobs(batch, temperature=temperature).tolist()
        for owner, value in zip(batch.owners_N.tolist(), values, strict=True):
            found[owner].append(value)
    return found


@pytest.mark.parametrize("temperature", [1.0, 0.7, 1.6])
def test_at_step_0_the_ratio_is_1(temperature: float) -> None:
    policy = tiny_policy()
    episodes = sampler(policy).sample(jobs(5), temperature=temperature)
    for episode, logps in zip(episodes, trainer_logprobs(policy, episodes, temperature), strict=True):
        assert episode.logprobs == pytest.approx(logps, abs=CLOSE)


@pytest.mark.parametrize("trainer_temperature", [1.0, 0.9])
def test_a_trainer_that_forgets_the_temperature_is_found_out(trainer_temperature: float) -> None:
    policy = tiny_policy()
    episodes = sampler(policy).sample(jobs(5), temperature=0.7)
    wrong = trainer_logprobs(policy, episodes, trainer_temperature)
    ratios = [abs(a - b) for one, logps in zip(episodes, wrong, strict=True) for a, b in zip(one.logprobs, logps, strict=True)]
    assert max(ratios) > 0.1


def test_a_distribution_cut_by_top_p_is_found_out() -> None:
    """A sampler that kept the likeliest 80 % and renormalised would store log-probabilities that the trainer does not find."""
    logits = torch.randn(1, VOCAB, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2
    probs = logits.softmax(-1)[0]
    order = probs.argsort(descending=True)
    kept = order[: int((probs[order].cumsum(0) < 0.8).sum()) + 1]
    ids, logprobs = sample_tokens(logits, [0.3], 1.0)
    assert logprobs[0] == pytest.approx(float(probs[ids[0]].log()), abs=1e-6)
    cut = torch.full_like(logits, -torch.inf)
    cut[0, kept] = logits[0, kept]
    ids, logprobs = sample_tokens(cut, [0.3], 1.0)
    assert abs(logprobs[0] - float(probs[ids[0]].log())) > 0.1


@pytest.mark.slow
def test_batching_never_changes_what_is_drawn() -> None:
    policy, wanted = tiny_policy(), jobs(6, per_prompt=2)
    alone = [sampler(policy, rows=1).sample([job])[0] for job in wanted]
    for rows in (2, 5, 64):
        together = sampler(policy, rows=rows).sample(wanted)
        assert [one.ids for one in together] == [one.ids for one in alone]
        for one, other in zip(together, alone, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=CLOSE)


def test_answers_end_with_a_stop_token_or_are_truncated() -> None:
    policy = tiny_policy()
    wanted = jobs(8, per_prompt=4, tokens=30)
    episodes = sampler(policy).sample(wanted)
    assert {one.truncated for one in episodes} == {True, False}
    for job, episode in zip(wanted, episodes, strict=True):
        answer = episode.ids[len(job.prompt_ids) :]
        assert STOP not in answer[:-1]
        assert episode.truncated == (answer[-1] != STOP)
        assert len(answer) == len(episode.logprobs) == sum(episode.sampled)
        assert not episode.truncated or len(answer) == job.max_tokens


def test_the_draws_follow_the_distribution() -> None:
    """First tokens after one prompt against its softmax, by a chi-square statistic (61 cells, bound far in the tail)."""
    policy = tiny_policy()
    prompt = (5, 9, 11)
    episodes = sampler(policy, rows=64).sample([EpisodeRequest(prompt, seed, 1, 1) for seed in range(3000)])
    with torch.no_grad():
        probs = policy.decoder(torch.tensor([prompt]))[0, -1].softmax(-1)
    counts = torch.bincount(torch.tensor([one.ids[-1] for one in episodes]), minlength=VOCAB)
    expected = probs * len(episodes)
    assert float(((counts - expected) ** 2 / expected.clamp(min=1)).sum()) < 130


def test_any_integer_is_a_seed() -> None:
    policy = tiny_policy()
    requests = [EpisodeRequest((5, 9, 11), seed, 8, 8) for seed in (-1, 2**128, 2**200, 0, 2**128 - 1)]
    episodes = sampler(policy).sample(requests)
    # Seeds are taken modulo 2**128.
    assert episodes[1].ids == episodes[3].ids
    assert episodes[0].ids == episodes[4].ids
    assert episodes[0].ids != episodes[3].ids


def test_a_prompt_is_computed_once_for_its_group() -> None:
    policy = tiny_policy()
    prompt = tuple(range(4, 34))
    one = sampler(policy, rows=4)
    one.sample([EpisodeRequest(prompt, seed, 1, 1) for seed in range(8)])
    assert one.num_forward_tokens == 30
    # Two prompts that begin alike: what they share is computed once.
    two = sampler(policy, rows=4)
    two.sample([EpisodeRequest((*prompt, token), seed, 1, 1) for seed, token in enumerate((40, 41))])
    assert two.num_forward_tokens == 32


def test_after_an_update_the_sampler_is_the_new_policy() -> None:
    policy = tiny_policy()
    one, wanted = sampler(policy), jobs(4)
    one.sample(wanted)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1.5)
    episodes = one.sample(wanted)
    for episode, logps in zip(episodes, trainer_logprobs(policy, episodes), strict=True):
        assert episode.logprobs == pytest.approx(logps, abs=CLOSE)
    state = {name: tensor * 0 for name, tensor in policy.state_dict().items()}
    policy.load_state_dict(state)
    for episode, logps in zip(one.sample(wanted), trainer_logprobs(policy, one.sample(wanted)), strict=True):
        assert episode.logprobs == pytest.approx(logps, abs=CLOSE)


def test_packed_weights_draw_the_same_up_to_fp32_and_follow_every_update() -> None:
    policy = tiny_policy(torch.float32)
    packed = Sampler(policy.decoder, stop_ids=frozenset({STOP}), frozen_base=True)
    for change in (1.0, 1.5, 0.0):
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.mul_(change)
        episodes = packed.sample(jobs(5))
        for episode, logps in zip(episodes, trainer_logprobs(policy, episodes), strict=True):
            assert episode.logprobs == pytest.approx(logps, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sampler_keeps_no_weights_that_the_policy_gave_up(dtype: torch.dtype) -> None:
    """The trunk that is written out by hand joins the frozen weights after the sampler was made: theirs before must be freed."""
    policy = tiny_policy(dtype)
    drawing, wanted = Sampler(policy.decoder, stop_ids=frozenset({STOP}), frozen_base=True), jobs(5)
    before = [StorageWeakRef(one.untyped_storage()) for name, one in policy.decoder.named_parameters() if ".base." in name]
    trainer_logprobs(policy, drawing.sample(wanted))
    assert policy.trunk_implementation == "fused"
    gc.collect()
    assert len(before) == 14
    assert all(one.expired() for one in before)
    drawing.sample(wanted)


def test_what_is_replied_follows_and_is_not_drawn() -> None:
    policy = tiny_policy()
    wanted = [EpisodeRequest(job.prompt_ids, job.seed, 25, 60) for job in jobs(6)]
    turns: dict[int, int] = {}

    def follow(number: int, answer: Sequence[int]) -> Sequence[int] | None:
        assert answer[-1] == STOP
        turns[number] = turns.get(number, 0) + 1
        return (7, 8, 9) if turns[number] < 3 else None

    episodes = sampler(policy).sample(wanted, reply=follow)
    assert max(turns.values()) == 3
    for job, episode in zip(wanted, episodes, strict=True):
        assert len(episode.ids) - len(job.prompt_ids) <= job.max_episode_tokens
        replies = [token for token, drawn in zip(episode.ids, episode.sampled, strict=True) if not drawn][len(job.prompt_ids) :]
        assert replies == [7, 8, 9] * (len(replies) // 3)
    for episode, logps in zip(episodes, trainer_logprobs(policy, episodes), strict=True):
        assert episode.logprobs == pytest.approx(logps, abs=CLOSE)


def test_temperature_0_takes_the_likeliest() -> None:
    ids, logprobs = sample_tokens(torch.tensor([[0.0, 2.0, 1.0]]), [0.99], 0)
    assert ids == [1]
    assert logprobs == pytest.approx([float(torch.tensor([0.0, 2.0, 1.0]).log_softmax(-1)[1])])


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        sample_tokens(torch.tensor([[0.0, torch.nan]]), [0.5], 1.0)
