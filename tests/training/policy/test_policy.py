from __future__ import annotations

import pytest
import torch

from tests.training.networks import BASE_SHA256, random_pairs, tiny_decoder, tiny_policy
from yearling.errors import Unsupported, Untrusted
from yearling.models import merge_adapter
from yearling.training.data.packing import pack_examples
from yearling.training.policy.policy import Policy


@pytest.mark.parametrize("full", [False, True])
def test_reference_logprobs_are_those_of_the_base(full: bool) -> None:
    (batch,) = pack_examples(random_pairs(3), budget_tokens=1000)
    untrained, trained = tiny_policy(full=full, trained=False), tiny_policy(full=full)
    with torch.no_grad():
        base = untrained.token_logprobs(batch)
        # Adding the product of an untrained adapter, which is zero, may round otherwise than leaving it out.
        torch.testing.assert_close(untrained.reference_logprobs(batch), base, rtol=0, atol=1e-12)
        assert torch.equal(trained.reference_logprobs(batch), untrained.reference_logprobs(batch))
        assert (trained.token_logprobs(batch) - base).abs().max() > 0.01


def test_lora_trains_all_adapter_factors_and_full_trains_all_weights() -> None:
    lora, full = tiny_policy(), tiny_policy(full=True)
    assert len(lora.parameters()) == 2 * 7 * 2
    assert all("lora" in name for name in lora.named_parameters())
    assert len(full.parameters()) == len(list(full.decoder.parameters()))
    for policy in (lora, full):
        (batch,) = pack_examples(random_pairs(2), budget_tokens=1000)
        policy.token_logprobs(batch).sum().backward()  # type: ignore[no-untyped-call]
        assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in policy.parameters())


@pytest.mark.parametrize("full", [False, True])
def test_state_is_restored_bit_for_bit(full: bool) -> None:
    (batch,) = pack_examples(random_pairs(2), budget_tokens=1000)
    policy, restored = tiny_policy(full=full), tiny_policy(full=full, trained=False)
    restored.load_state_dict(policy.state_dict())
    assert torch.equal(restored.token_logprobs(batch), policy.token_logprobs(batch))
    with pytest.raises(Untrusted):
        policy.load_state_dict({"model.norm.weight": torch.zeros(1)})


def test_merged_weights_equal_base_and_adapter() -> None:
    (batch,) = pack_examples(random_pairs(3), budget_tokens=1000)
    policy = tiny_policy()
    with torch.no_grad():
        before = policy.token_logprobs(batch)
        merge_adapter(policy.decoder)
        torch.testing.assert_close(policy.token_logprobs(batch), before, rtol=1e-10, atol=1e-11)
        base = Policy.full(tiny_decoder(), base_sha256=BASE_SHA256, keep_reference=False).token_logprobs(batch)
    assert (base - before).abs().max() > 0.01  # the adapter had an effect


def test_full_fine_tuning_has_no_adapter_and_optionally_no_reference() -> None:
    policy = Policy.full(tiny_decoder(), base_sha256=BASE_SHA256, keep_reference=False)
    (batch,) = pack_examples(random_pairs(1), budget_tokens=1000)
    with pytest.raises(Unsupported):
        policy.adapter()
    with pytest.raises(ValueError, match="without a reference"):
        policy.reference_logprobs(batch)
    assert tiny_policy().adapter().base_sha256 == BASE_SHA256
