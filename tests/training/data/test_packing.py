from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.networks import BASE_SHA256, random_group, random_pairs, tiny_decoder, tiny_policy
from yearling.errors import BadInput
from yearling.training.data.packing import (
    PackedBatch,
    PrefixNode,
    TrainingExample,
    common_prefix_length,
    pack_examples,
    target_ids,
)
from yearling.training.policy.policy import Policy


def unpacked_logprobs(decoder: torch.nn.Module, example: TrainingExample) -> torch.Tensor:
    """The definition: the sequence alone, a softmax over all logits, and the targets selected from it."""
    ids = torch.tensor([example.ids])
    logps = decoder(ids)[0].log_softmax(-1)
    return torch.stack([logps[index - 1, example.ids[index]] for index in range(len(example.ids)) if example.is_target[index]])


def split_by_example(batches: list[PackedBatch], values: list[torch.Tensor], count: int) -> list[torch.Tensor]:
    by_example: list[torch.Tensor] = [torch.tensor([])] * count
    for batch, values_N in zip(batches, values, strict=True):
        for index in batch.example_indices:
            by_example[index] = values_N[batch.owners_N == index]
    return by_example


def with_system_message(system: tuple[int, ...], examples: list[TrainingExample]) -> list[TrainingExample]:
    return [
        TrainingExample((*system, *example.ids), (False,) * len(system) + example.is_target, example.group)
        for example in examples
    ]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_packed_logprobs_equal_those_of_unpacked_sequences(shared: bool, budget: int) -> None:
    policy = tiny_policy()
    rng = random.Random(1)
    examples = [
        *random_pairs(4),
        *random_group(rng, 77, prompt=9, answers=(3, 5, 1, 8)),
        # The first is a prefix of the second, targets included.
        TrainingExample((5, 6, 7, 8), (False, True, False, True), 88),
        TrainingExample((5, 6, 7, 8, 9), (False, True, False, True, True), 88),
    ]
    with torch.no_grad():
        batches = pack_examples(examples, budget_tokens=budget, shared_prompts=shared)
        by_example = split_by_example(batches, [policy.token_logprobs(batch) for batch in batches], len(examples))
        for example, logprobs in zip(examples, by_example, strict=True):
            torch.testing.assert_close(logprobs, unpacked_logprobs(policy.decoder, example), rtol=1e-10, atol=1e-12)


def test_comparison_detects_a_leak_between_examples_and_wrong_positions() -> None:
    """The planted faults: one example sees another, and positions continue from one example to the next."""
    policy = tiny_policy()
    examples = random_pairs(2)
    (batch,) = pack_examples(examples, budget_tokens=1000)
    correct = policy.token_logprobs(batch)
    causal = torch.ones(batch.num_tokens, batch.num_tokens, dtype=torch.bool).tril()
    leaky = policy.decoder.hidden(batch.ids_T[None], positions_BT=batch.positions_T[None], mask=causal[None])[0]
    assert (policy.logprobs_and_entropy(batch, hidden_TE=leaky)[0] - correct).abs().max() > 1e-3
    continued = torch.arange(batch.num_tokens)[None]
    shifted = policy.decoder.hidden(batch.ids_T[None], positions_BT=continued, mask=batch.attention_mask()[None])[0]
    assert (policy.logprobs_and_entropy(batch, hidden_TE=shifted)[0] - correct).abs().max() > 1e-3


def test_shared_prefix_is_computed_once() -> None:
    examples = [
        TrainingExample.from_prompt_and_answer((1, 2, 3, 4), (5, 6), group=0),
        TrainingExample.from_prompt_and_answer((1, 2, 3, 4), (5, 7, 8), group=0),
    ]
    (batch,) = pack_examples(examples, budget_tokens=100)
    assert batch.num_tokens == 5 + 1 + 2
    assert batch.nodes == (PrefixNode(0, 5, -1, 0), PrefixNode(5, 1, 0, 5), PrefixNode(6, 2, 0, 5))
    assert batch.positions_T.tolist() == [0, 1, 2, 3, 4, 5, 5, 6]
    assert batch.labels_N.tolist() == [5, 6, 5, 7, 8]
    assert batch.sources_N.tolist() == [3, 4, 3, 4, 6]
    (unshared,) = pack_examples(examples, budget_tokens=100, shared_prompts=False)
    assert unshared.num_tokens == 6 + 7


@pytest.mark.parametrize("system", [(), tuple(range(10))])
def test_attention_mask_equals_the_definition(system: tuple[int, ...]) -> None:
    pairs = with_system_message(system, random_pairs(3, longest=4))
    (batch,) = pack_examples(pairs, budget_tokens=1000)
    mask = batch.attention_mask()
    node_of = [index for index, node in enumerate(batch.nodes) for _ in range(node.length)]
    for query in range(batch.num_tokens):
        ancestors, node = set(), node_of[query]
        while node >= 0:
            ancestors.add(node)
            node = batch.nodes[node].parent
        for key in range(batch.num_tokens):
            assert bool(mask[query, key]) == (key <= query and node_of[key] in ancestors), (query, key)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=12),
    budget=st.integers(1, 120),
    shared=st.booleans(),
    split=st.booleans(),
)
def test_every_target_occurs_once_and_batches_fit_the_budget(
    sizes: list[tuple[int, int, int]], budget: int, shared: bool, split: bool
) -> None:
    rng = random.Random(len(sizes))
    examples = [
        example
        for group, (prompt, first, second) in enumerate(sizes)
        for example in random_group(rng, group, prompt=prompt, answers=(first, second))
    ]
    batches = pack_examples(examples, budget_tokens=budget, shared_prompts=shared, split_groups=split)
    targets = [
        (int(owner), int(offset), int(label))
        for batch in batches
        for owner, offset, label in zip(batch.owners_N, batch.offsets_N, batch.labels_N, strict=True)
    ]
    expected = [
        (owner, offset, example.ids[offset])
        for owner, example in enumerate(examples)
        for offset, is_target in enumerate(example.is_target)
        if is_target
    ]
    assert sorted(targets) == expected
    for batch in batches:
        groups = {examples[index].group for index in batch.example_indices}
        is_single = len(batch.example_indices) == 1 if split else len(groups) == 1
        assert batch.num_tokens <= budget or is_single
        if not split:
            members = {index for index, example in enumerate(examples) if example.group in groups}
            assert members == set(batch.example_indices)


def test_sum_per_example_covers_the_targets_of_each_example() -> None:
    examples = random_pairs(3)
    for batch in pack_examples(examples, budget_tokens=30):
        counts = batch.sum_per_example(torch.ones(batch.num_targets))
        assert counts.tolist() == [examples[index].num_targets for index in batch.example_indices]


def test_raises_for_examples_without_targets_and_for_bad_targets() -> None:
    with pytest.raises(BadInput, match="no token to learn from"):
        TrainingExample((1, 2), (False, False), 0)
    with pytest.raises(BadInput):
        TrainingExample.from_prompt_and_answer((1, 2), (), group=0)
    with pytest.raises(BadInput):
        pack_examples([], budget_tokens=10)
    with pytest.raises(ValueError, match="first token"):
        TrainingExample((1, 2), (True, True), 0)
    with pytest.raises(ValueError, match="as many target marks"):
        TrainingExample((1, 2), (False,), 0)


def test_target_ids_are_the_answer_and_common_prefix_length_counts_shared_ids() -> None:
    assert target_ids(TrainingExample.from_prompt_and_answer((1, 2, 3), (9, 8, 2), group=0)) == (9, 8, 2)
    assert common_prefix_length([(1, 2, 3), (1, 2), (1, 2, 9)]) == 2


def test_system_message_of_all_groups_is_computed_once() -> None:
    system = tuple(range(20, 32))
    pairs = [
        TrainingExample.from_prompt_and_answer((*system, *example.ids[:1]), example.ids[1:], group=example.group)
        for example in random_pairs(4)
        if len(example.ids) > 1
    ]
    policy = tiny_policy()
    (batch,) = pack_examples(pairs, budget_tokens=1000)
    assert [node.parent for node in batch.nodes].count(-1) == 1
    assert batch.nodes[0] == PrefixNode(0, 12, -1, 0)
    with torch.no_grad():
        expected = torch.cat([unpacked_logprobs(policy.decoder, pairs[index]) for index in batch.example_indices])
        torch.testing.assert_close(policy.token_logprobs(batch), expected, rtol=1e-10, atol=1e-12)


def test_sliding_window_extends_across_nodes() -> None:
    decoder = tiny_decoder(windows=(4, None))
    examples = [
        TrainingExample.from_prompt_and_answer((1, 2, 3, 4, 5, 6, 7), (8, 9, 10), group=0),
        TrainingExample.from_prompt_and_answer((1, 2, 3, 4, 5, 6, 7), (11, 12), group=0),
    ]
    (batch,) = pack_examples(examples, budget_tokens=100)
    policy = Policy.lora(decoder, base_sha256=BASE_SHA256, rank=1)
    decoder.double()
    with torch.no_grad():
        logprobs = policy.token_logprobs(batch)
        expected = torch.cat([unpacked_logprobs(decoder, example) for example in examples])
    torch.testing.assert_close(logprobs, expected, rtol=1e-10, atol=1e-12)
