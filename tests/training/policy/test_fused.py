from __future__ import annotations

import random

import pytest
import torch

from tests.training.networks import random_group, random_pairs, tiny_policy
from yearling.models import merge_adapter
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.policy.fused import FusedTrunk, _query_spans
from yearling.training.policy.policy import Policy, _unfused_hidden_states


def gradients(policy: Policy, states: torch.Tensor) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    upstream = torch.randn(states.shape, generator=generator, dtype=torch.float64).to(states)
    return list(torch.autograd.grad((states * upstream).sum(), policy.parameters()))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("heads", [2, 4])
def test_values_and_gradients_equal_autograds(shared: bool, heads: int) -> None:
    policy = tiny_policy(num_kv_heads=heads)
    system = tuple(range(9))
    examples = [TrainingExample((*system, *each.ids), (False,) * 9 + each.is_target, each.group) for each in random_pairs(5)]
    (batch,) = pack_examples(examples, budget_tokens=10_000, shared_prompts=shared)
    fused, plain = policy.hidden(batch), _unfused_hidden_states(policy.decoder, batch)
    assert policy.trunk_implementation == "fused"
    torch.testing.assert_close(fused, plain, rtol=1e-10, atol=1e-11)
    for ours, theirs in zip(gradients(policy, fused), gradients(policy, plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


def test_the_decoder_stays_usable_and_changes_are_noticed() -> None:
    policy = tiny_policy()
    (batch,) = pack_examples(random_pairs(2), budget_tokens=1000)
    with torch.no_grad():
        before = policy.hidden(batch)
        torch.testing.assert_close(_unfused_hidden_states(policy.decoder, batch), before)
        policy.parameters()[3].mul_(2)
        changed = policy.hidden(batch)
        torch.testing.assert_close(_unfused_hidden_states(policy.decoder, batch), changed)
        assert (changed - before).abs().max() > 1e-3
        merge_adapter(policy.decoder)
        assert policy.trunk_implementation == "plain"
        torch.testing.assert_close(policy.hidden(batch), changed)


def test_other_networks_take_the_plain_path() -> None:
    for changes in ({"qk_norm": True}, {"qkv_bias": True}, {"windows": (4, None)}):
        policy = tiny_policy(**changes)
        assert policy.trunk_implementation == "plain"
        assert not FusedTrunk.supports(policy.decoder)
    assert tiny_policy(full=True).trunk_implementation == "plain"


def test_long_nodes_attend_a_few_queries_at_a_time() -> None:
    """Longer than the queries of one go, above and below a shared prompt: the cuts change nothing."""
    policy = tiny_policy(context_tokens=1024)
    rng = random.Random(4)
    (batch,) = pack_examples(random_group(rng, 0, prompt=150, answers=(300, 7)), budget_tokens=1000)
    fused, plain = policy.hidden(batch), _unfused_hidden_states(policy.decoder, batch)
    torch.testing.assert_close(fused, plain, rtol=1e-10, atol=1e-11)
    for ours, theirs in zip(gradients(policy, fused), gradients(policy, plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("answers", [(3, 1, 2, 4, 3, 2), (60, 50, 40, 3, 2, 130, 1)])
def test_short_answers_to_one_prompt_attend_together(answers: tuple[int, ...]) -> None:
    """Fewer goes than answers, and yet nobody sees a neighbour; two groups, so that leaves of two parents are neighbours."""
    policy = tiny_policy(context_tokens=1024)
    rng = random.Random(6)
    examples = [one for group in range(2) for one in random_group(rng, group, prompt=11, answers=answers)]
    (batch,) = pack_examples(examples, budget_tokens=2000)
    assert len(_query_spans(batch.nodes, torch.float64)) < len(batch.nodes) - 2
    fused, plain = policy.hidden(batch), _unfused_hidden_states(policy.decoder, batch)
    torch.testing.assert_close(fused, plain, rtol=1e-10, atol=1e-11)
    for ours, theirs in zip(gradients(policy, fused), gradients(policy, plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_factors_that_change_before_the_backward_pass_are_noticed() -> None:
    policy = tiny_policy()
    (batch,) = pack_examples(random_pairs(2), budget_tokens=1000)
    states = policy.hidden(batch)
    with torch.no_grad():
        policy.parameters()[0].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()
