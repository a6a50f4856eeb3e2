from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from tests.training.networks import BASE_SHA256, random_group, random_pairs, tiny_decoder, tiny_policy
from yearling.models import merge_adapter
from yearling.training.data.packing import PackedBatch, TrainingExample, pack_examples
from yearling.training.policy.fused import FusedTrunk, _query_spans
from yearling.training.policy.policy import Policy, _unfused_hidden_states


def gradients(policy: Policy, states: Tensor) -> list[Tensor]:
    generator = torch.Generator().manual_seed(8)
    grad_output = torch.randn(states.shape, generator=generator, dtype=torch.float64).to(states)
    return list(torch.autograd.grad((states * grad_output).sum(), policy.parameters()))


def assert_fused_equals_autograd(policy: Policy, batch: PackedBatch, *, atol: float = 1e-9) -> None:
    fused, unfused = policy.hidden(batch), _unfused_hidden_states(policy.decoder, batch)
    torch.testing.assert_close(fused, unfused, rtol=1e-10, atol=1e-11)
    for gradient, expected in zip(gradients(policy, fused), gradients(policy, unfused), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=atol)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("heads", [2, 4])
def test_values_and_gradients_equal_those_of_autograd(shared: bool, heads: int) -> None:
    policy = tiny_policy(num_kv_heads=heads)
    system = tuple(range(9))
    examples = [
        TrainingExample((*system, *example.ids), (False,) * 9 + example.is_target, example.group) for example in random_pairs(5)
    ]
    (batch,) = pack_examples(examples, budget_tokens=10_000, shared_prompts=shared)
    assert policy.trunk_implementation == "fused"
    assert_fused_equals_autograd(policy, batch, atol=1e-10)


def test_decoder_stays_usable_and_changed_weights_take_effect() -> None:
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


def test_unsupported_networks_use_the_decoders_own_code() -> None:
    for changes in ({"qk_norm": True}, {"qkv_bias": True}, {"windows": (4, None)}):
        policy = tiny_policy(**changes)
        assert policy.trunk_implementation == "plain"
        assert not FusedTrunk.supports(policy.decoder)
    assert tiny_policy(full=True).trunk_implementation == "plain"


def test_splitting_long_nodes_into_query_spans_changes_nothing() -> None:
    """Nodes above and below a shared prompt are longer than the queries of one span."""
    policy = tiny_policy(context_tokens=1024)
    examples = random_group(random.Random(4), 0, prompt=150, answers=(300, 7))
    (batch,) = pack_examples(examples, budget_tokens=1000)
    assert_fused_equals_autograd(policy, batch)


@pytest.mark.parametrize("answers", [(3, 1, 2, 4, 3, 2), (60, 50, 40, 3, 2, 130, 1)])
def test_short_answers_to_one_prompt_share_a_span_without_seeing_each_other(answers: tuple[int, ...]) -> None:
    """There are two groups, so that leaves of two parents are neighbours."""
    policy = tiny_policy(context_tokens=1024)
    rng = random.Random(6)
    examples = [example for group in range(2) for example in random_group(rng, group, prompt=11, answers=answers)]
    (batch,) = pack_examples(examples, budget_tokens=2000)
    assert len(_query_spans(batch.nodes, torch.float64)) < len(batch.nodes) - 2
    assert_fused_equals_autograd(policy, batch)


def test_backward_raises_if_the_factors_changed_after_the_forward_pass() -> None:
    policy = tiny_policy()
    (batch,) = pack_examples(random_pairs(2), budget_tokens=1000)
    states = policy.hidden(batch)
    with torch.no_grad():
        policy.parameters()[0].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()  # type: ignore[no-untyped-call]


def test_blocks_below_the_adapter_are_computed_fused_as_well() -> None:
    decoder = tiny_decoder(num_layers=4)
    policy = Policy.lora(decoder, base_sha256=BASE_SHA256, rank=3, first_block=2)
    decoder.to(torch.float64)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1)
    (batch,) = pack_examples(random_pairs(3), budget_tokens=1000)
    assert policy.trunk_implementation == "fused"
    assert_fused_equals_autograd(policy, batch)
    bare = policy.reference_states(batch)
    assert (bare - policy.hidden(batch)[batch.sources_N]).abs().max() > 1e-3
    first = next(name for name in policy.named_parameters())
    assert first.startswith("model.layers.2.")
