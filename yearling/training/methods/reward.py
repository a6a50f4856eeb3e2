"""A Bradley–Terry reward model (2203.02155): a linear head on the state of an answer's last token, over the shared trunk.

The head begins at zero, so the first loss is ln 2.
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
    centre: float = 0.01
    """Weight of (r_a + r_b)²."""

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        if self.centre < 0 or self.kl_mode != "off":
            raise BadInput("centre must not be negative; a reward model has no policy whose KL could be capped.", param="centre")


class RewardHead(nn.Module):
    """r = w · h of the last token, in float32 or wider."""

    def __init__(self, width: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, dtype=torch.promote_types(dtype, torch.float32), device=device))

    def forward(self, hidden_TE: Tensor, batch: PackedBatch) -> Tensor:
        """(X,): one reward for each of the batch's examples."""
        return hidden_TE.index_select(0, batch.ends_X.to(hidden_TE.device)).to(self.weight.dtype) @ self.weight


class Reward(OfflineMethod):
    """The loss is the weighted mean over the pairs of the whole step."""

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
        """As `Dpo`; nothing is cached, since there is no reference. Raises BadInput when no pair is usable."""
        self.config = config
        self.table = PairTable.from_lessons(pairs, earlier, encoder, validation_share=config.validation)
        head = RewardHead(policy.decoder.config.hidden_size, policy.decoder.dtype, policy.device)
        super().__init__(
            config, policy, num_new=len(self.table.train_indices), num_earlier=len(self.table.replay_indices), head=head
        )

    def step(self, number: int) -> dict[str, float]:
        pairs = self.table.pair_indices(self.order.lessons_for_step(number))
        examples, _ = self.table.select_examples(pairs)
        total = sum(self.table.weights[pair] for pair in pairs)
        loss_sum = margin_sum = right = 0.0
        for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens):
            first_P, second_P = self.head(self.policy.hidden(batch), batch).view(-1, 2).unbind(1)
            q_P, weight_P = self.table.soft_labels(batch, pairs, first_P)
            loss = (weight_P * reward_model_loss(first_P, second_P, q_P, centre=self.config.centre)).sum() / total
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item()
            margins_P = (first_P - second_P).detach() * (2 * q_P - 1).sign()
            margin_sum += float(margins_P.sum())
            right += float((margins_P > 0).sum())
        metrics = self.optimiser.step(number)
        tokens = float(sum(len(example.ids) for example in examples))
        return metrics | {
            "loss": loss_sum, "tokens": tokens, "margin": margin_sum / len(pairs), "accuracy": right / len(pairs)
        }  # fmt: skip

    @torch.no_grad()
    def validate(self) -> dict[str, float] | None:
        """`score` is minus the mean loss on the validation part; `accuracy` the share of pairs that are ranked right."""
        pairs = self.table.validation_indices
        if not pairs:
            return None
        loss = weight = right = 0.0
        for batch in pack_examples(self.table.select_examples(pairs)[0], budget_tokens=self.config.budget_tokens):
            first_P, second_P = self.head(self.policy.hidden(batch), batch).view(-1, 2).unbind(1)
            q_P, weight_P = self.table.soft_labels(batch, pairs, first_P)
            loss += float((weight_P * reward_model_loss(first_P, second_P, q_P, centre=self.config.centre)).sum())
            weight += float(weight_P.sum())
            right += float(((first_P - second_P) * (q_P - 0.5) > 0).sum())
        return {"score": -loss / weight, "loss": loss / weight, "accuracy": right / len(pairs)}
