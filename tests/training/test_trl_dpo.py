"""DPO's loss and gradients against TRL's trainer, on the same weights and the same token ids.

`trl_dpo.json` is what `trl_reference.py` wrote with the TRL version that it names. Where an environment with TRL stands
(`make trl`), a slow test makes it anew and compares.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.networks import BASE
from yearling.models.decoder_config import DecoderConfig
from yearling.models.llama_decoder import LlamaDecoder
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.losses.preference import dpo_loss, winner_nll_loss
from yearling.training.policy.policy import Policy

HERE = Path(__file__).parent
TRL_PYTHON = HERE.parents[1] / ".venv-trl" / "bin" / "python"


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "trl_dpo.json").read_text())
    return found


def decoder(weights: dict[str, list[float]]) -> LlamaDecoder:
    config = DecoderConfig(
        family="llama", vocab_size=29, hidden_size=16, num_layers=2, context_tokens=64, num_heads=4, num_kv_heads=2, head_dim=4,
        ffn_size=24, norm_eps=1e-5, rope_theta=1e4, tied_embeddings=True,
    )  # fmt: skip
    network = LlamaDecoder(config).double().eval()
    own = dict(network.named_parameters())
    assert own.keys() == weights.keys()
    with torch.no_grad():
        for name, values in weights.items():
            own[name].copy_(torch.tensor(values, dtype=torch.float64).view(own[name].shape))
    return network


def ours(theirs: dict[str, Any], settings: dict[str, Any]) -> tuple[float, dict[str, float]]:
    """Loss and gradient norms of our packed, shared-prompt pass."""
    policy = Policy.full(decoder(theirs["policy"]), base_sha256=BASE, keep_reference=False)
    base = Policy.full(decoder(theirs["reference"]), base_sha256=BASE, keep_reference=False)
    pairs = theirs["pairs"][:1] if settings.get("one_pair") else theirs["pairs"]
    examples = [
        TrainingExample.from_prompt_and_answer(pair["prompt_ids"], pair[side], group=group)
        for group, pair in enumerate(pairs)
        for side in ("chosen_ids", "rejected_ids")
    ]
    q = torch.full((len(pairs),), 1 - settings.get("label_smoothing", 0.0), dtype=torch.float64)
    (batch,) = pack_examples(examples, budget_tokens=1000)
    logprobs = policy.token_logprobs(batch)
    with torch.no_grad():
        reference = base.token_logprobs(batch)
    first, second = batch.sum_per_example(logprobs - reference).view(-1, 2).unbind(1)
    loss = dpo_loss(first, second, q, beta=settings["beta"]).mean()
    if "loss_weights" in settings:  # TRL's mean is over all the winners' tokens, ours over each winner's and then over pairs
        logps, tokens = batch.sum_per_example(logprobs).view(-1, 2), batch.sum_per_example(torch.ones_like(logprobs)).view(-1, 2)
        per_pair = winner_nll_loss(logps[:, 0], logps[:, 1], tokens[:, 0], tokens[:, 1], q)
        loss = loss + settings["loss_weights"][1] * (per_pair * tokens[:, 0]).sum() / tokens[:, 0].sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), {name: float(p.grad.norm()) for name, p in policy.named_parameters().items() if p.grad is not None}


@pytest.mark.parametrize("case", ["sigmoid", "sharper", "with-nll", "soft"])
def test_loss_and_gradients_equal_trls(theirs: dict[str, Any], case: str) -> None:
    expected = theirs["cases"][case]
    loss, norms = ours(theirs, expected["settings"])
    # TRL sums log-probabilities in float32 even where the weights are float64.
    assert loss == pytest.approx(expected["loss"], rel=2e-6)
    assert norms == pytest.approx(expected["gradient_norms"], rel=2e-5)


def test_another_beta_is_noticed(theirs: dict[str, Any]) -> None:
    expected = theirs["cases"]["sigmoid"]
    loss, _ = ours(theirs, expected["settings"] | {"beta": 0.101})
    assert loss != pytest.approx(expected["loss"], rel=2e-6)


@pytest.mark.slow
def test_trl_still_says_so(theirs: dict[str, Any], tmp_path: Path) -> None:
    if not TRL_PYTHON.exists():
        pytest.skip("no environment with TRL: `make trl` makes one")
    subprocess.run([TRL_PYTHON, HERE / "trl_reference.py", tmp_path / "now.json"], check=True, capture_output=True)
    now = json.loads((tmp_path / "now.json").read_text())
    assert now["trl"] == theirs["trl"]
    for name, case in theirs["cases"].items():
        assert now["cases"][name]["loss"] == pytest.approx(case["loss"], rel=1e-6)
