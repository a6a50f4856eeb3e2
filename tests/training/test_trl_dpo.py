"""DPO's loss and gradients against TRL's trainer, on the same weights and token ids.

`trl_dpo_reference.py` wrote `trl_dpo.json` with the TRL version that the file names. If there is an environment with TRL
(`make trl`), a slow test generates the file again and compares.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.networks import BASE_SHA256
from yearling.models.decoder_config import DecoderConfig
from yearling.models.llama_decoder import LlamaDecoder
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.losses.preference import dpo_loss, winner_nll_loss
from yearling.training.policy.policy import Policy

HERE = Path(__file__).parent
TRL_PYTHON = HERE.parents[1] / ".venv-trl" / "bin" / "python"


@pytest.fixture(scope="module")
def trl_results() -> dict[str, Any]:
    results: dict[str, Any] = json.loads((HERE / "trl_dpo.json").read_text())
    return results


def decoder_with_weights(weights: dict[str, list[float]]) -> LlamaDecoder:
    config = DecoderConfig(
        family="llama",
        vocab_size=29,
        hidden_size=16,
        num_layers=2,
        context_tokens=64,
        num_heads=4,
        num_kv_heads=2,
        head_dim=4,
        ffn_size=24,
        norm_eps=1e-5,
        rope_theta=1e4,
        tied_embeddings=True,
    )
    decoder = LlamaDecoder(config).double().eval()
    parameters = dict(decoder.named_parameters())
    assert parameters.keys() == weights.keys()
    with torch.no_grad():
        for name, values in weights.items():
            parameters[name].copy_(torch.tensor(values, dtype=torch.float64).view(parameters[name].shape))
    return decoder


def loss_and_gradient_norms(trl_results: dict[str, Any], settings: dict[str, Any]) -> tuple[float, dict[str, float]]:
    """Yearling's loss and gradient norms, from one packed batch with shared prompts."""
    policy = Policy.full(decoder_with_weights(trl_results["policy"]), base_sha256=BASE_SHA256, keep_reference=False)
    reference = Policy.full(decoder_with_weights(trl_results["reference"]), base_sha256=BASE_SHA256, keep_reference=False)
    pairs = trl_results["pairs"][:1] if settings.get("one_pair") else trl_results["pairs"]
    examples = [
        TrainingExample.from_prompt_and_answer(pair["prompt_ids"], pair[side], group=group)
        for group, pair in enumerate(pairs)
        for side in ("chosen_ids", "rejected_ids")
    ]
    q_P = torch.full((len(pairs),), 1 - settings.get("label_smoothing", 0.0), dtype=torch.float64)
    (batch,) = pack_examples(examples, budget_tokens=1000)
    logps_N = policy.token_logprobs(batch)
    with torch.no_grad():
        reference_N = reference.token_logprobs(batch)
    first_P, second_P = batch.sum_per_example(logps_N - reference_N).view(-1, 2).unbind(1)
    loss = dpo_loss(first_P, second_P, q_P, beta=settings["beta"]).mean()
    if (
        "loss_weights" in settings
    ):  # TRL's mean is over all tokens of the winners, Yearling's over each winner and then over pairs
        logps_P2 = batch.sum_per_example(logps_N).view(-1, 2)
        tokens_P2 = batch.sum_per_example(torch.ones_like(logps_N)).view(-1, 2)
        nll_P = winner_nll_loss(logps_P2[:, 0], logps_P2[:, 1], tokens_P2[:, 0], tokens_P2[:, 1], q_P)
        loss = loss + settings["loss_weights"][1] * (nll_P * tokens_P2[:, 0]).sum() / tokens_P2[:, 0].sum()
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = policy.named_parameters()
    return loss.item(), {name: float(p.grad.norm()) for name, p in parameters.items() if p.grad is not None}


@pytest.mark.parametrize("case", ["sigmoid", "sharper", "with-nll", "soft"])
def test_loss_and_gradients_equal_those_of_trl(trl_results: dict[str, Any], case: str) -> None:
    expected = trl_results["cases"][case]
    loss, norms = loss_and_gradient_norms(trl_results, expected["settings"])
    # TRL sums log-probabilities in float32 even if the weights are float64.
    assert loss == pytest.approx(expected["loss"], rel=2e-6)
    assert norms == pytest.approx(expected["gradient_norms"], rel=2e-5)


def test_comparison_detects_a_different_beta(trl_results: dict[str, Any]) -> None:
    expected = trl_results["cases"]["sigmoid"]
    loss, _ = loss_and_gradient_norms(trl_results, expected["settings"] | {"beta": 0.101})
    assert loss != pytest.approx(expected["loss"], rel=2e-6)


@pytest.mark.slow
def test_trl_still_gives_the_stored_losses(trl_results: dict[str, Any], tmp_path: Path) -> None:
    if not TRL_PYTHON.exists():
        pytest.skip("there is no environment with TRL: `make trl` makes one")
    output = tmp_path / "now.json"
    subprocess.run([TRL_PYTHON, HERE / "trl_dpo_reference.py", output], check=True, capture_output=True)
    current = json.loads(output.read_text())
    assert current["trl"] == trl_results["trl"]
    for name, case in trl_results["cases"].items():
        assert current["cases"][name]["loss"] == pytest.approx(case["loss"], rel=1e-6)
