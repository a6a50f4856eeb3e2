"""The reader's steps: the loss by its definition, one gradient whatever the micro-batches, KL that is minimised, resumable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests.training.letter_codec import LetterPrompts, LetterTokenizer
from tests.training.networks import BASE_SHA256, tiny_decoder, weights_equal
from yearling.errors import BadInput, Untrusted
from yearling.models import adapter_disabled
from yearling.training.policy.policy import Policy
from yearling.training.reader.method import Reader, ReaderConfig
from yearling.training.rollouts.base_answers import BASE_ANSWERS_FILENAME

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"steps": 3, "positives": 3, "negatives": 3, "base_answer_tokens": 5}


def reader(folder: Path, **changes: Any) -> Reader:
    policy = Policy.lora(
        tiny_decoder(torch.float64, num_layers=3, context_tokens=2048), base_sha256=BASE_SHA256, rank=2, first_block=1
    )
    policy.decoder.to(torch.float64)
    return Reader(ReaderConfig(**(SMALL | changes)), policy, LetterTokenizer(), LetterPrompts(), cache_folder=folder)


def test_loss_equals_its_definition_computed_slowly(tmp_path: Path) -> None:
    method = reader(tmp_path)
    method.step(1)  # so that the policy is not its base
    policy, prompts = method.policy, LetterPrompts()
    examples = method._examples(2)
    answers = json.loads((tmp_path / BASE_ANSWERS_FILENAME).read_text())

    def logprobs(prompt: list[int], answer: list[int]) -> torch.Tensor:
        hidden = policy.decoder.hidden(torch.tensor([[*prompt, *answer]]))[0, len(prompt) - 1 : -1]
        return F.log_softmax(policy.decoder.lm_head(hidden), -1)

    nll, num_targets = torch.tensor(0.0), 0
    with torch.no_grad():
        for positive in examples.positives:
            answer = [*LetterTokenizer().encode(positive.answer), 3]
            values = logprobs(prompts.encode(positive.messages), answer)
            nll = nll - values[range(len(answer)), answer].sum()
            num_targets += len(answer)
        kls = []
        for negative in examples.negatives:
            bare = prompts.encode(negative.bare_messages)
            answer = answers[" ".join(map(str, bare))]
            assert 0 < len(answer) <= 5
            log_pi = logprobs(prompts.encode(negative.messages), answer)
            with adapter_disabled(policy.decoder):
                log_p = logprobs(bare, answer)
            kls.append((log_p.exp() * (log_p - log_pi)).sum(-1))
    metrics = method.step(2)
    assert metrics["nll"] == pytest.approx(float(nll) / num_targets, rel=1e-5)
    assert metrics["kl"] == pytest.approx(float(torch.cat(kls).mean()), rel=1e-5)
    assert metrics["loss"] == pytest.approx(metrics["nll"] + method.config.kl_weight * metrics["kl"])


def test_trajectories_are_equal_whatever_the_micro_batches(tmp_path: Path) -> None:
    one, many = reader(tmp_path, budget_tokens=100_000), reader(tmp_path, budget_tokens=1)
    for step in (1, 2, 3):
        assert one.step(step)["loss"] == pytest.approx(many.step(step)["loss"], rel=1e-9)
    for a, b in zip(one.policy.parameters(), many.policy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_the_divergence_from_the_bare_model_is_minimised(tmp_path: Path) -> None:
    held, free = (reader(tmp_path, kl_weight=weight, learning_rate=0.05, warmup=0.0) for weight in (100.0, 0.0))
    held_kls, free_kls = ([method.step(1)["kl"] for _ in range(6)] for method in (held, free))
    assert held_kls[-1] < held_kls[0]
    assert held_kls[-1] < free_kls[-1]


def test_only_blocks_above_the_first_are_changed(tmp_path: Path) -> None:
    names = reader(tmp_path).policy.adapter().factors
    assert names
    assert not [name for name in names if name.startswith("model.layers.0.")]


def test_a_resumed_reader_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = reader(tmp_path)
    for step in (1, 2, 3):
        whole.step(step)
    first = reader(tmp_path)
    first.step(1)
    resumed = reader(tmp_path)
    resumed.load_state_dict(first.state_dict())
    for step in (2, 3):
        resumed.step(step)
    assert weights_equal(whole.policy, resumed.policy.state_dict())


def test_damaged_answers_and_wrong_settings_are_refused(tmp_path: Path) -> None:
    reader(tmp_path)
    (tmp_path / BASE_ANSWERS_FILENAME).write_text("{}")
    with pytest.raises(Untrusted, match="is damaged"):
        reader(tmp_path)
    for changes in ({"steps": 0}, {"kl_weight": -1.0}, {"learning_rate": 0.0}):
        with pytest.raises(BadInput):
            ReaderConfig(**changes)
    with pytest.raises(BadInput, match="no setting 'stpes'"):
        ReaderConfig.from_dict({"stpes": 3})
