"""A Bradley–Terry reward model (2203.02155): a linear head on the hidden state of an answer's last token, above the shared trunk.

The head starts at zero, so the first loss is ln 2.

Shapes: T tokens, X examples and P pairs of a micro-batch, E model width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from yearling.errors import BadInput
from yearling.tasks import PreferencePair
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.packing import PackedBatch, pack_examples
from yearling.training.data.pairs import PairTable
from yearling.training.losses.preference import reward_model_loss
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig(OfflineConfig):
    """Settings of the reward model. Raises BadInput if a setting is out of range, or for a KL mode."""

    centre: float = 0.01
    """Weight of (r_a + r_b)², which centres the rewards on 0."""

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        if self.centre < 0:
            raise BadInput("centre must not be negative.", param="centre")
        if self.kl_mode != "off":
            raise BadInput("A reward model has no policy whose KL divergence could be limited.", param="kl_mode")


class RewardHead(nn.Module):
    """r = w · h of the last token, in float32 or wider."""

    def __init__(self, width: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, dtype=torch.promote_types(dtype, torch.float32), device=device))

    def forward(self, hidden_TE: Tensor, batch: PackedBatch) -> Tensor:
        """(X,): one reward for each example of the batch."""
        return hidden_TE.index_select(0, batch.ends_X.to(hidden_TE.device)).to(self.weight.dtype) @ self.weight


class Reward(OfflineMethod):
    """The reward model. The loss is the weighted mean over the pairs of the whole step."""

    name = "reward"
    head: RewardHead

    def __init__(
        self,
        config: RewardConfig,
        policy: Policy,
        pairs: Sequence[PreferencePair],
        encoder: LessonEncoder,
        *,
        earlier: Sequence[PreferencePair] = (),
        cache_folder: Path | None = None,
    ) -> None:
        """Encode the pairs, as `Dpo` does. `cache_folder` is unused: there is no reference. Raises BadInput if no pair is
        usable."""
        self.config = config
        self.table = PairTable.from_lessons(pairs, earlier, encoder, validation_share=config.validation)
        head = RewardHead(policy.decoder.config.hidden_size, policy.decoder.dtype, policy.device)
        super().__init__(config, policy, self.table.split, encoder=encoder, cache_folder=cache_folder, head=head)

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`."""
        pairs = self.lesson_indices(number)
        examples, _ = self.table.select_examples(pairs)
        total_weight = sum(self.table.weights[pair] for pair in pairs)
        loss_sum = margin_sum = num_correct = 0.0
        for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens):
            first_P, second_P, q_P, weight_P = self._score_pairs(batch, pairs)
            losses_P = reward_model_loss(first_P, second_P, q_P, centre=self.config.centre)
            loss = (weight_P * losses_P).sum() / total_weight
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item()
            margins_P = (first_P - second_P).detach() * (2 * q_P - 1).sign()
            margin_sum += float(margins_P.sum())
            num_correct += float((margins_P > 0).sum())
        metrics = self.optimiser.step(number)
        return metrics | {
            "loss": loss_sum,
            "tokens": float(sum(len(example.ids) for example in examples)),
            "margin": margin_sum / len(pairs),
            "accuracy": num_correct / len(pairs),
        }

    @torch.no_grad()
    def validate(self) -> dict[str, float] | None:
        """`score` is minus the mean loss on the validation pairs. `accuracy` is the share of pairs ranked correctly."""
        pairs = self.split.validation_indices
        if not pairs:
            return None
        loss = weight = num_correct = 0.0
        for batch in pack_examples(self.table.select_examples(pairs)[0], budget_tokens=self.config.budget_tokens):
            first_P, second_P, q_P, weight_P = self._score_pairs(batch, pairs)
            losses_P = reward_model_loss(first_P, second_P, q_P, centre=self.config.centre)
            loss += float((weight_P * losses_P).sum())
            weight += float(weight_P.sum())
            num_correct += float(((first_P - second_P) * (q_P - 0.5) > 0).sum())
        return {"score": -loss / weight, "loss": loss / weight, "accuracy": num_correct / len(pairs)}

    def _score_pairs(self, batch: PackedBatch, pairs: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(rewards of the first answers, rewards of the second answers, q, weights) of a batch's pairs, each (P,)."""
        first_P, second_P = self.head(self.policy.hidden(batch), batch).view(-1, 2).unbind(1)
        return first_P, second_P, *self.table.soft_labels(batch, pairs, first_P)
