from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.networks import random_group, random_pairs, tiny_decoder, tiny_policy
from yearling.errors import BadInput
from yearling.training.data.packing import (
    PackedBatch,
    PrefixNode,
    TrainingExample,
    common_prefix_length,
    pack_examples,
    target_ids,
)


def one_by_one(decoder: torch.nn.Module, example: TrainingExample) -> torch.Tensor:
    """The definition: the sequence alone, softmax over all logits, the targets picked."""
    ids = torch.tensor([example.ids])
    logps = decoder(ids)[0].log_softmax(-1)
    return torch.stack([logps[place - 1, example.ids[place]] for place in range(len(example.ids)) if example.is_target[place]])


def in_order(batches: list[PackedBatch], values: list[torch.Tensor], count: int) -> list[torch.Tensor]:
    found: list[torch.Tensor] = [torch.tensor([])] * count
    for batch, value in zip(batches, values, strict=True):
        for number in batch.example_indices:
            found[number] = value[batch.owners_N == number]
    return found


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_packed_log_probabilities_equal_those_of_sequences_alone(shared: bool, budget: int) -> None:
    policy = tiny_policy()
    rng = random.Random(1)
    examples = [
        *random_pairs(4),
        *random_group(rng, 77, prompt=9, answers=(3, 5, 1, 8)),
        TrainingExample((5, 6, 7, 8), (False, True, False, True), 88),
        TrainingExample((5, 6, 7, 8, 9), (False, True, False, True, True), 88),  # its sibling is its prefix, targets included
    ]
    with torch.no_grad():
        batches = pack_examples(examples, budget_tokens=budget, shared_prompts=shared)
        found = in_order(batches, [policy.token_logprobs(batch) for batch in batches], len(examples))
        for example, logprobs in zip(examples, found, strict=True):
            torch.testing.assert_close(logprobs, one_by_one(policy.decoder, example), rtol=1e-10, atol=1e-12)


def test_a_planted_leak_between_examples_is_seen() -> None:
    """The comparison above fails when one example can see another, or when positions run on."""
    policy = tiny_policy()
    examples = random_pairs(2)
    (batch,) = pack_examples(examples, budget_tokens=1000)
    right = policy.token_logprobs(batch)
    causal = torch.ones(batch.num_tokens, batch.num_tokens, dtype=torch.bool).tril()
    leaky = policy.decoder.hidden(batch.ids_T[None], positions_BT=batch.positions_T[None], mask=causal[None])[0]
    assert (policy.logprobs_and_entropy(batch, hidden_TE=leaky)[0] - right).abs().max() > 1e-3
    running = torch.arange(batch.num_tokens)[None]
    shifted = policy.decoder.hidden(batch.ids_T[None], positions_BT=running, mask=batch.attention_mask()[None])[0]
    assert (policy.logprobs_and_entropy(batch, hidden_TE=shifted)[0] - right).abs().max() > 1e-3


def test_what_is_shared_is_computed_once() -> None:
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
    (apart,) = pack_examples(examples, budget_tokens=100, shared_prompts=False)
    assert apart.num_tokens == 6 + 7


@pytest.mark.parametrize("system", [(), tuple(range(10))])
def test_the_mask_is_that_of_the_definition(system: tuple[int, ...]) -> None:
    pairs = [
        TrainingExample((*system, *each.ids), (False,) * len(system) + each.is_target, each.group)
        for each in random_pairs(3, longest=4)
    ]
    (batch,) = pack_examples(pairs, budget_tokens=1000)
    mask = batch.attention_mask()
    owner = [next(number for number, node in enumerate(batch.nodes) if place in range(*node.token_slice.indices(10**6)))
             for place in range(batch.num_tokens)]  # fmt: skip
    for query in range(batch.num_tokens):
        for key in range(batch.num_tokens):
            ancestors, node = set(), owner[query]
            while node >= 0:
                ancestors.add(node)
                node = batch.nodes[node].parent
            assert bool(mask[query, key]) == (key <= query and owner[key] in ancestors), (query, key)


@settings(max_examples=40)
@given(sizes=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=12),
       budget=st.integers(1, 120), shared=st.booleans(), split=st.booleans())  # fmt: skip
def test_every_target_is_there_once_and_batches_fit(
    sizes: list[tuple[int, int, int]], budget: int, shared: bool, split: bool
) -> None:
    rng = random.Random(len(sizes))
    examples = [example for group, (prompt, first, second) in enumerate(sizes)
                for example in random_group(rng, group, prompt=prompt, answers=(first, second))]  # fmt: skip
    batches = pack_examples(examples, budget_tokens=budget, shared_prompts=shared, split_groups=split)
    seen = [(int(owner), int(offset), int(label)) for batch in batches
            for owner, offset, label in zip(batch.owners_N, batch.offsets_N, batch.labels_N, strict=True)]  # fmt: skip
    wanted = [(owner, offset, example.ids[offset]) for owner, example in enumerate(examples)
              for offset, target in enumerate(example.is_target) if target]  # fmt: skip
    assert sorted(seen) == wanted
    for batch in batches:
        groups = {examples[number].group for number in batch.example_indices}
        assert batch.num_tokens <= budget or (len(groups) == 1 if not split else len(batch.example_indices) == 1)
        assert split or all(
            (example.group in groups) == (number in batch.example_indices) for number, example in enumerate(examples)
        )


def test_sums_are_over_each_examples_own_targets() -> None:
    examples = random_pairs(3)
    for batch in pack_examples(examples, budget_tokens=30):
        counts = batch.sum_per_example(torch.ones(batch.num_targets))
        assert counts.tolist() == [examples[number].num_targets for number in batch.example_indices]


def test_what_cannot_teach_is_refused() -> None:
    with pytest.raises(BadInput, match="no token to learn from"):
        TrainingExample((1, 2), (False, False), 0)
    with pytest.raises(BadInput):
        TrainingExample.from_prompt_and_answer((1, 2), (), group=0)
    with pytest.raises(BadInput):
        pack_examples([], budget_tokens=10)
    with pytest.raises(ValueError, match="first token"):
        TrainingExample((1, 2), (True, True), 0)
    with pytest.raises(ValueError, match="no example"):
        TrainingExample((1, 2), (False,), 0)


def test_targets_are_the_answer() -> None:
    assert target_ids(TrainingExample.from_prompt_and_answer((1, 2, 3), (9, 8, 2), group=0)) == (9, 8, 2)
    assert common_prefix_length([(1, 2, 3), (1, 2), (1, 2, 9)]) == 2


def test_a_system_message_of_all_groups_is_computed_once() -> None:
    system = tuple(range(20, 32))
    pairs = [
        TrainingExample.from_prompt_and_answer((*system, *each.ids[:1]), each.ids[1:], group=each.group)
        for each in random_pairs(4)
        if len(each.ids) > 1
    ]
    policy = tiny_policy()
    (batch,) = pack_examples(pairs, budget_tokens=1000)
    assert [node.parent for node in batch.nodes].count(-1) == 1
    assert batch.nodes[0] == PrefixNode(0, 12, -1, 0)
    with torch.no_grad():
        expected = torch.cat([one_by_one(policy.decoder, pairs[number]) for number in batch.example_indices])
        torch.testing.assert_close(policy.token_logprobs(batch), expected, rtol=1e-10, atol=1e-12)


def test_a_sliding_window_is_kept_across_nodes() -> None:
    decoder = tiny_decoder(windows=(4, None))
    examples = [
        TrainingExample.from_prompt_and_answer((1, 2, 3, 4, 5, 6, 7), (8, 9, 10), group=0),
        TrainingExample.from_prompt_and_answer((1, 2, 3, 4, 5, 6, 7), (11, 12), group=0),
    ]
    (batch,) = pack_examples(examples, budget_tokens=100)
    from yearling.training.policy.policy import Policy

    policy = Policy.lora(decoder, base_sha256="ab" * 32, rank=1)
    decoder.double()
    with torch.no_grad():
        found = policy.token_logprobs(batch)
        expected = torch.cat([one_by_one(decoder, example) for example in examples])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
