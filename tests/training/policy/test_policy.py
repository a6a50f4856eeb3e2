from __future__ import annotations

import pytest
import torch

from tests.training.networks import BASE, random_pairs, tiny_decoder, tiny_policy
from yearling.errors import Unsupported, Untrusted
from yearling.models import merge_adapter
from yearling.training.data.packing import pack_examples
from yearling.training.policy.policy import Policy


@pytest.mark.parametrize("full", [False, True])
def test_the_reference_is_the_base(full: bool) -> None:
    (batch,) = pack_examples(random_pairs(3), budget_tokens=1000)
    fresh, trained = tiny_policy(full=full, trained=False), tiny_policy(full=full)
    with torch.no_grad():
        base = fresh.token_logprobs(batch)
        assert torch.equal(fresh.reference_logprobs(batch), base)
        assert torch.equal(trained.reference_logprobs(batch), base)
        assert (trained.token_logprobs(batch) - base).abs().max() > 0.01


def test_what_is_trained() -> None:
    lora, full = tiny_policy(), tiny_policy(full=True)
    assert len(lora.parameters()) == 2 * 7 * 2
    assert all("lora" in name for name in lora.named_parameters())
    assert len(full.parameters()) == len(list(full.decoder.parameters()))
    for policy in (lora, full):
        (batch,) = pack_examples(random_pairs(2), budget_tokens=1000)
        policy.token_logprobs(batch).sum().backward()
        assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in policy.parameters())


@pytest.mark.parametrize("full", [False, True])
def test_a_state_comes_back_to_the_bit(full: bool) -> None:
    (batch,) = pack_examples(random_pairs(2), budget_tokens=1000)
    policy, other = tiny_policy(full=full), tiny_policy(full=full, trained=False)
    other.load_state_dict(policy.state_dict())
    assert torch.equal(other.token_logprobs(batch), policy.token_logprobs(batch))
    with pytest.raises(Untrusted):
        policy.load_state_dict({"model.norm.weight": torch.zeros(1)})


def test_lora_merge_identity() -> None:
    """Merged weights answer as base and adapter did, in float64 to the last digits."""
    (batch,) = pack_examples(random_pairs(3), budget_tokens=1000)
    policy = tiny_policy()
    with torch.no_grad():
        before = policy.token_logprobs(batch)
        merge_adapter(policy.decoder)
        torch.testing.assert_close(policy.token_logprobs(batch), before, rtol=1e-10, atol=1e-11)
        bare = Policy.full(tiny_decoder(), base_sha256=BASE, keep_reference=False).token_logprobs(batch)
    assert (bare - before).abs().max() > 0.01  # the adapter did something


def test_full_fine_tuning_has_no_adapter_and_maybe_no_reference() -> None:
    policy = Policy.full(tiny_decoder(), base_sha256=BASE, keep_reference=False)
    (batch,) = pack_examples(random_pairs(1), budget_tokens=1000)
    with pytest.raises(Unsupported):
        policy.adapter()
    with pytest.raises(ValueError, match="without a reference"):
        policy.reference_logprobs(batch)
    assert tiny_policy().adapter().base_sha256 == BASE
