"""Token sequences packed end to end into rows that fill a token budget, with what sequences have in common computed once.

A batch is a forest: each node is a run of tokens that continues its parent's. The examples of a group (the two answers of a
preference pair, the rollouts of one prompt) hang below one node that holds their common prefix, and all groups below one with
the system message that they begin with; nothing sees another example and nothing is padding. A token sees its own node up to
itself and all of its ancestors, at the positions that it would have alone, so log-probabilities equal those of unpacked
sequences. Knows token ids only: no model, no loss.

Shapes: T tokens of a batch, N target tokens, X examples of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from yearling.errors import BadInput

MIN_COMMON_PREFIX_TOKENS = 8
"""What all groups of a batch begin with (a system message) is computed once if it has at least so many tokens."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One sequence. `target[i]`: the log-probability of `ids[i]`, given all before it, takes part in the loss. Examples of one
    `group` stay in one batch and share their common prefix."""

    ids: tuple[int, ...]
    is_target: tuple[bool, ...]
    group: int

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.is_target) or not self.ids:
            raise ValueError(f"{len(self.ids)} ids and {len(self.is_target)} target marks are no example")
        if self.is_target[0]:
            raise ValueError("nothing stands before the first token: it cannot be a target")
        if not any(self.is_target):
            raise BadInput("An example has no token to learn from.", advice="Its answer is empty: leave it out.")

    @classmethod
    def from_prompt_and_answer(cls, prompt: Sequence[int], answer: Sequence[int], *, group: int) -> TrainingExample:
        """All of `answer` (its end-of-turn token included) is target, nothing of `prompt` is."""
        return cls((*prompt, *answer), (False,) * len(prompt) + (True,) * len(answer), group)

    @property
    def num_targets(self) -> int:
        return sum(self.is_target)


@dataclass(frozen=True, slots=True)
class PrefixNode:
    """Tokens `start` to `start + length` of the row, at positions from `position` on, below node `parent` (-1: a root)."""

    start: int
    length: int
    parent: int
    position: int

    @property
    def token_slice(self) -> slice:
        return slice(self.start, self.start + self.length)


@dataclass(frozen=True, slots=True, eq=False)
class PackedBatch:
    """One row. The n-th target token is `labels_N[n]`, predicted by the hidden state of token `sources_N[n]`; it is token
    `offsets_N[n]` of example `owners_N[n]` of the list that was packed. Targets of one example are neighbours, in order."""

    ids_T: Tensor
    positions_T: Tensor
    nodes: tuple[PrefixNode, ...]
    sources_N: Tensor
    labels_N: Tensor
    owners_N: Tensor
    offsets_N: Tensor
    example_indices: tuple[int, ...]
    """The examples in it, as numbers of the list that was packed, in the order of their targets."""
    ends_X: Tensor
    """The last token of each of `examples`."""

    @property
    def num_tokens(self) -> int:
        return self.ids_T.shape[0]

    @property
    def num_targets(self) -> int:
        return self.labels_N.shape[0]

    @property
    def example_slots_N(self) -> Tensor:
        """The place in `examples` of each target's example: `sums` and scatters over the batch's own examples use it."""
        place = {example: rank for rank, example in enumerate(self.example_indices)}
        return torch.tensor([place[owner] for owner in self.owners_N.tolist()], device=self.owners_N.device)

    def sum_per_example(self, values_N: Tensor) -> Tensor:
        """The sum of a value of each target token over each example, (len(examples),)."""
        return values_N.new_zeros(len(self.example_indices)).index_add(0, self.example_slots_N.to(values_N.device), values_N)

    def attention_mask(self) -> Tensor:
        """Which token sees which, (T, T), boolean."""
        ancestry = torch.zeros(len(self.nodes), len(self.nodes), dtype=torch.bool)
        for number, node in enumerate(self.nodes):
            if node.parent >= 0:
                ancestry[number] = ancestry[node.parent]
            ancestry[number, number] = True
        lengths = torch.tensor([node.length for node in self.nodes])
        owner_T = torch.repeat_interleave(torch.arange(len(self.nodes)), lengths)
        order_T = torch.arange(self.num_tokens)
        allowed = ancestry[owner_T[:, None], owner_T[None]] & (order_T[None] <= order_T[:, None])
        return allowed.to(self.ids_T.device)

    def to(self, device: torch.device | str) -> PackedBatch:
        if self.ids_T.device == torch.device(device):
            return self
        tensors = {name: value.to(device) for name in self.__slots__ if isinstance(value := getattr(self, name), Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


def pack_examples(
    examples: Sequence[TrainingExample], *, budget_tokens: int, shared_prompts: bool = True, split_groups: bool = False
) -> list[PackedBatch]:
    """Batches of at most `budget_tokens` tokens, first fit with the largest groups first; the same list gives the same batches.

    A group stays whole even where it alone exceeds the budget, since losses over pairs need it whole; with `split_groups` such a
    group is cut into parts that fit, each with the prefix again. Without `shared_prompts` every example is computed by itself.
    Raises BadInput for no examples at all.
    """
    if not examples:
        raise BadInput("There is nothing to learn from.", advice="Give at least one example.")
    if budget_tokens < 1:
        raise ValueError("the budget must be positive")
    groups: dict[int, list[int]] = {}
    for number, example in enumerate(examples):
        groups.setdefault(example.group, []).append(number)
    parts = [
        part
        for members in groups.values()
        for part in (_split_group(examples, members, budget_tokens, shared_prompts) if split_groups else [members])
    ]
    sized = sorted(
        ((_num_packed_tokens(examples, part, shared_prompts), part) for part in parts), key=lambda item: (-item[0], item[1][0])
    )
    bins: list[list[list[int]]] = []
    room: list[int] = []
    for size, part in sized:
        place = next((index for index, left in enumerate(room) if left >= size), len(bins))
        if place == len(bins):
            bins.append([])
            room.append(budget_tokens)
        bins[place].append(part)
        room[place] -= size
    return [_build_batch(examples, sorted(bin_), shared_prompts) for bin_ in bins]


def target_ids(example: TrainingExample) -> tuple[int, ...]:
    """The ids that an example teaches, for checking that they are the answer and its end."""
    return tuple(token for token, wanted in zip(example.ids, example.is_target, strict=True) if wanted)


def common_prefix_length(sequences: Iterable[Sequence[int]]) -> int:
    """How many leading ids all sequences have in common."""
    given = [tuple(sequence) for sequence in sequences]
    shortest, longest = min(given), max(given)  # of sorted sequences the first and the last differ first
    for index, (left, right) in enumerate(zip(shortest, longest, strict=False)):
        if left != right:
            return index
    return min(len(shortest), len(longest))


def _shared_prefix_length(examples: Sequence[TrainingExample], indices: Sequence[int], shared_prompts: bool) -> int:
    return common_prefix_length([examples[number].ids for number in indices]) if shared_prompts and len(indices) > 1 else 0


def _num_packed_tokens(examples: Sequence[TrainingExample], indices: Sequence[int], shared_prompts: bool) -> int:
    shared = _shared_prefix_length(examples, indices, shared_prompts)
    return shared + sum(len(examples[number].ids) - shared for number in indices)


def _split_group(examples: Sequence[TrainingExample], indices: list[int], budget: int, shared_prompts: bool) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for number in indices:
        if parts[-1] and _num_packed_tokens(examples, [*parts[-1], number], shared_prompts) > budget:
            parts.append([])
        parts[-1].append(number)
    return parts


def _build_batch(examples: Sequence[TrainingExample], parts: Sequence[Sequence[int]], shared_prompts: bool) -> PackedBatch:
    ids: list[int] = []
    positions: list[int] = []
    nodes: list[PrefixNode] = []
    targets: list[tuple[int, int, int, int]] = []  # (source, label, owner, offset)
    ends: list[int] = []

    def add(tokens: Sequence[int], parent: int, position: int) -> int:
        """The new node, or its parent where there are no tokens."""
        if not tokens:
            return parent
        nodes.append(PrefixNode(len(ids), len(tokens), parent, position))
        ids.extend(tokens)
        positions.extend(range(position, position + len(tokens)))
        return len(nodes) - 1

    def rows(node: int) -> list[int]:
        """Where the tokens from the root to the end of a node stand."""
        if node < 0:
            return []
        return [*rows(nodes[node].parent), *range(nodes[node].start, nodes[node].start + nodes[node].length)]

    everyone = [number for members in parts for number in members]
    common = _shared_prefix_length(examples, everyone, shared_prompts)
    common = common if common >= MIN_COMMON_PREFIX_TOKENS or len(parts) == 1 else 0
    trunk = add(examples[everyone[0]].ids[:common], -1, 0)
    for members in parts:
        shared = max(common, _shared_prefix_length(examples, members, shared_prompts))
        root = add(examples[members[0]].ids[common:shared], trunk, common)
        for number in members:
            example = examples[number]
            places = rows(add(example.ids[shared:], root, shared))
            ends.append(places[-1])
            marks = enumerate(example.is_target)
            targets += [(places[offset - 1], example.ids[offset], number, offset) for offset, wanted in marks if wanted]
    sources, labels, owners, offsets = torch.tensor(targets).T.contiguous()
    row = (torch.tensor(ids), torch.tensor(positions), tuple(nodes))
    return PackedBatch(*row, sources, labels, owners, offsets, tuple(everyone), torch.tensor(ends))
