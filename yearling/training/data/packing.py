"""Packs token sequences end to end into batches that fill a token budget, and computes shared prefixes once.

A batch is a forest of prefix nodes: each node is a run of tokens that continues its parent's run. The examples of a group (the
two answers of a preference pair, the rollouts of one prompt) hang below a node that holds their common prefix. All groups hang
below a node that holds what they share, such as the system message. There is no padding, and no example sees another. A token
sees its own node up to itself and all ancestors of the node, at the positions that it would have alone, so log-probabilities
equal those of unpacked sequences. Knows token ids only: no model, no loss.

Shapes: T tokens of a batch, N target tokens, X examples of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from yearling.errors import BadInput

MIN_COMMON_PREFIX_TOKENS = 8
"""A prefix that all groups of a batch share is computed once if it has at least this many tokens."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One token sequence. If `is_target[i]`, the loss covers the log-probability of `ids[i]` given all tokens before it.

    Examples of one `group` stay in one batch and share their common prefix. Raises ValueError if the lengths differ or the first
    token is a target, BadInput if there is no target."""

    ids: tuple[int, ...]
    is_target: tuple[bool, ...]
    group: int

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.is_target) or not self.ids:
            raise ValueError(f"an example needs ids and as many target marks, not {len(self.ids)} and {len(self.is_target)}")
        if self.is_target[0]:
            raise ValueError("the first token cannot be a target: no token predicts it")
        if not any(self.is_target):
            raise BadInput("An example has no token to learn from.", advice="Its answer is empty. Leave it out.")

    @classmethod
    def from_prompt_and_answer(cls, prompt: Sequence[int], answer: Sequence[int], *, group: int) -> TrainingExample:
        """All tokens of `answer`, its end-of-turn token included, are targets; those of `prompt` are not."""
        return cls((*prompt, *answer), (False,) * len(prompt) + (True,) * len(answer), group)

    @property
    def num_targets(self) -> int:
        """The number of target tokens."""
        return sum(self.is_target)


@dataclass(frozen=True, slots=True)
class PrefixNode:
    """Tokens `start` to `start + length` of the batch, at positions from `position` on, below node `parent` (−1 for a root)."""

    start: int
    length: int
    parent: int
    position: int

    @property
    def token_slice(self) -> slice:
        """The node's own tokens."""
        return slice(self.start, self.start + self.length)


@dataclass(frozen=True, slots=True, eq=False)
class PackedBatch:
    """One row of packed examples.

    The n-th target token is `labels_N[n]`, predicted by the hidden state of token `sources_N[n]`. It is token `offsets_N[n]` of
    example `owners_N[n]`, an index into the list that was packed. The targets of one example are adjacent and in order."""

    ids_T: Tensor
    positions_T: Tensor
    nodes: tuple[PrefixNode, ...]
    sources_N: Tensor
    labels_N: Tensor
    owners_N: Tensor
    offsets_N: Tensor
    example_indices: tuple[int, ...]
    """Indices of the batch's examples in the list that was packed, in the order of their targets."""
    ends_X: Tensor
    """The last token of each example."""

    @property
    def num_tokens(self) -> int:
        """T: the number of tokens that are computed."""
        return self.ids_T.shape[0]

    @property
    def num_targets(self) -> int:
        """N: the number of target tokens."""
        return self.labels_N.shape[0]

    @property
    def example_slots_N(self) -> Tensor:
        """For each target, the position of its example in `example_indices`, (N,)."""
        slots = {example: slot for slot, example in enumerate(self.example_indices)}
        return torch.tensor([slots[owner] for owner in self.owners_N.tolist()], device=self.owners_N.device)

    def sum_per_example(self, values_N: Tensor) -> Tensor:
        """The sum of the values of each example's target tokens, (X,)."""
        return values_N.new_zeros(len(self.example_indices)).index_add(0, self.example_slots_N.to(values_N.device), values_N)

    def attention_mask(self) -> Tensor:
        """Which token (row) sees which (column), (T, T), boolean."""
        is_ancestor = torch.zeros(len(self.nodes), len(self.nodes), dtype=torch.bool)
        for index, node in enumerate(self.nodes):
            if node.parent >= 0:
                is_ancestor[index] = is_ancestor[node.parent]
            is_ancestor[index, index] = True
        lengths = torch.tensor([node.length for node in self.nodes])
        node_T = torch.repeat_interleave(torch.arange(len(self.nodes)), lengths)
        order_T = torch.arange(self.num_tokens)
        allowed = is_ancestor[node_T[:, None], node_T[None]] & (order_T[None] <= order_T[:, None])
        return allowed.to(self.ids_T.device)

    def to(self, device: torch.device | str) -> PackedBatch:
        """The batch with its tensors on a device."""
        if self.ids_T.device == torch.device(device):
            return self
        tensors = {name: value.to(device) for name in self.__slots__ if isinstance(value := getattr(self, name), Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


def pack_examples(
    examples: Sequence[TrainingExample], *, budget_tokens: int, shared_prompts: bool = True, split_groups: bool = False
) -> list[PackedBatch]:
    """Pack examples into batches of at most `budget_tokens` tokens. The same list always gives the same batches.

    Groups are placed first-fit, the largest first. A group stays in one batch even if it exceeds the budget, because losses over
    pairs need it complete. With `split_groups` such a group is split into parts that fit, each with its own copy of the prefix.
    Without `shared_prompts` every example is computed separately. Raises BadInput if there are no examples, ValueError if the
    budget is not positive.
    """
    if not examples:
        raise BadInput("There is nothing to learn from.", advice="Give at least one example.")
    if budget_tokens < 1:
        raise ValueError("budget_tokens must be positive")
    groups: dict[int, list[int]] = {}
    for index, example in enumerate(examples):
        groups.setdefault(example.group, []).append(index)
    parts = [
        part
        for indices in groups.values()
        for part in (_split_group(examples, indices, budget_tokens, shared_prompts) if split_groups else [indices])
    ]
    sized_parts = sorted(
        ((_num_packed_tokens(examples, part, shared_prompts), part) for part in parts), key=lambda item: (-item[0], item[1][0])
    )
    bins: list[list[list[int]]] = []
    free_tokens: list[int] = []
    for size, part in sized_parts:
        chosen = next((index for index, free in enumerate(free_tokens) if free >= size), len(bins))
        if chosen == len(bins):
            bins.append([])
            free_tokens.append(budget_tokens)
        bins[chosen].append(part)
        free_tokens[chosen] -= size
    return [_build_batch(examples, sorted(bin_parts), shared_prompts) for bin_parts in bins]


def target_ids(example: TrainingExample) -> tuple[int, ...]:
    """The target ids of an example: the answer and its end."""
    return tuple(token for token, is_target in zip(example.ids, example.is_target, strict=True) if is_target)


def common_prefix_length(sequences: Iterable[Sequence[int]]) -> int:
    """The number of leading ids that all sequences share."""
    tuples = [tuple(sequence) for sequence in sequences]
    first, last = min(tuples), max(tuples)  # in sorted order, no two sequences differ earlier than the first and the last
    for index, (left, right) in enumerate(zip(first, last, strict=False)):
        if left != right:
            return index
    return min(len(first), len(last))


def _shared_prefix_length(examples: Sequence[TrainingExample], indices: Sequence[int], shared_prompts: bool) -> int:
    return common_prefix_length([examples[index].ids for index in indices]) if shared_prompts and len(indices) > 1 else 0


def _num_packed_tokens(examples: Sequence[TrainingExample], indices: Sequence[int], shared_prompts: bool) -> int:
    shared = _shared_prefix_length(examples, indices, shared_prompts)
    return shared + sum(len(examples[index].ids) - shared for index in indices)


def _split_group(examples: Sequence[TrainingExample], indices: list[int], budget: int, shared_prompts: bool) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for index in indices:
        if parts[-1] and _num_packed_tokens(examples, [*parts[-1], index], shared_prompts) > budget:
            parts.append([])
        parts[-1].append(index)
    return parts


def _build_batch(examples: Sequence[TrainingExample], parts: Sequence[Sequence[int]], shared_prompts: bool) -> PackedBatch:
    ids: list[int] = []
    positions: list[int] = []
    nodes: list[PrefixNode] = []
    targets: list[tuple[int, int, int, int]] = []  # (source, label, owner, offset)
    ends: list[int] = []

    def add_node(tokens: Sequence[int], parent: int, position: int) -> int:
        """Append a node; returns its index, or `parent` if there are no tokens."""
        if not tokens:
            return parent
        nodes.append(PrefixNode(len(ids), len(tokens), parent, position))
        ids.extend(tokens)
        positions.extend(range(position, position + len(tokens)))
        return len(nodes) - 1

    def tokens_up_to(node: int) -> list[int]:
        """The batch's token indices from the root to the end of a node."""
        if node < 0:
            return []
        return [*tokens_up_to(nodes[node].parent), *range(nodes[node].start, nodes[node].start + nodes[node].length)]

    all_indices = [index for part in parts for index in part]
    common = _shared_prefix_length(examples, all_indices, shared_prompts)
    common = common if common >= MIN_COMMON_PREFIX_TOKENS or len(parts) == 1 else 0
    root = add_node(examples[all_indices[0]].ids[:common], -1, 0)
    for part in parts:
        shared = max(common, _shared_prefix_length(examples, part, shared_prompts))
        prefix = add_node(examples[part[0]].ids[common:shared], root, common)
        for index in part:
            example = examples[index]
            tokens = tokens_up_to(add_node(example.ids[shared:], prefix, shared))
            ends.append(tokens[-1])
            targets += [
                (tokens[offset - 1], example.ids[offset], index, offset)
                for offset, is_target in enumerate(example.is_target)
                if is_target
            ]
    sources, labels, owners, offsets = torch.tensor(targets).T.contiguous()
    return PackedBatch(
        ids_T=torch.tensor(ids),
        positions_T=torch.tensor(positions),
        nodes=tuple(nodes),
        sources_N=sources,
        labels_N=labels,
        owners_N=owners,
        offsets_N=offsets,
        example_indices=tuple(all_indices),
        ends_X=torch.tensor(ends),
    )
