"""SFT, DPO, KTO and the reward model on a random two-layer network in float64."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.coders import Letters, Turns
from tests.training.networks import tiny_policy
from yearling.errors import BadInput, Untrusted
from yearling.tasks import Demonstration, PreferencePair, Thumb
from yearling.training.data.encoding import LessonEncoder
from yearling.training.methods import dpo as dpo_module
from yearling.training.methods.dpo import Dpo, DpoConfig
from yearling.training.methods.kto import Kto, KtoConfig
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.methods.reward import Reward, RewardConfig
from yearling.training.methods.sft import Sft, SftConfig

METHODS = ("sft", "dpo", "kto", "reward")
CONFIGS: dict[str, type[OfflineConfig]] = {"sft": SftConfig, "dpo": DpoConfig, "kto": KtoConfig, "reward": RewardConfig}


def words(rng: random.Random, longest: int = 9) -> str:
    return "".join(rng.choices("abcdefghijklm", k=rng.randint(1, longest)))


def lessons(name: str, count: int, seed: int = 0) -> list[Any]:
    rng = random.Random(seed)
    found: list[Any] = []
    for number in range(count):
        asked, key = ({"role": "user", "content": words(rng)},), f"{seed} {number}"
        weight = 1.0 + number % 3
        if name == "sft":
            found.append(Demonstration(key, asked, words(rng), weight=weight))
        elif name == "kto":
            found.append(Thumb(key, asked, words(rng), up=number % 3 > 0, weight=weight))
        else:
            found.append(PreferencePair(key, asked, f"n{words(rng)}", f"o{words(rng)}", q=rng.random(), weight=weight))
    return found


def method(name: str, *, trained: bool = True, full: bool = False, folder: Path | None = None, count: int = 12,
           earlier: int = 0, learning_rate: float = 1e-3, device: str = "cpu", **settings: Any) -> OfflineMethod:  # fmt: skip
    config = CONFIGS[name](lessons_per_step=6, learning_rate=learning_rate, passes=4.0, **settings)
    encoder = LessonEncoder(Letters(), Turns(), model_hash="none", max_tokens=config.max_tokens)
    old = {"earlier": lessons(name, earlier, 9)}
    policy = tiny_policy(trained=trained, full=full, device=device)
    if name == "sft":
        return Sft(config, policy, lessons(name, count), encoder, cache_folder=folder, **old)  # type: ignore[arg-type]
    if name == "dpo":
        return Dpo(config, policy, lessons(name, count), encoder, cache_folder=folder, **old)  # type: ignore[arg-type]
    if name == "kto":
        return Kto(config, policy, lessons(name, count), encoder, cache_folder=folder, **old)  # type: ignore[arg-type]
    return Reward(config, policy, lessons(name, count), encoder, cache_folder=folder, **old)  # type: ignore[arg-type]


def step_gradients(learner: OfflineMethod, number: int = 1) -> tuple[dict[str, float], list[torch.Tensor]]:
    """The metrics of a step and the gradients that the optimiser would have used; nothing is updated."""
    trained, found = learner.optimiser.parameters, []

    def keep(step: int) -> dict[str, float]:
        found.extend(torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in trained)
        for parameter in trained:
            parameter.grad = None
        return {}

    learner.optimiser.step = keep  # type: ignore[method-assign]
    if learner.head is not None:
        with torch.no_grad():
            learner.head.weight.copy_(torch.linspace(-1, 1, 32, dtype=torch.float64))  # type: ignore[union-attr, operator]
    return learner.step(number), found  # type: ignore[attr-defined]


def check_invariance(name: str, **settings: Any) -> None:
    """Gradients of every split into micro-batches, in float64."""
    metrics, whole = step_gradients(method(name, budget_tokens=100_000, **settings))
    assert max(gradient.abs().max() for gradient in whole) > 1e-4
    for budget in (1, 30, 60):
        other, parts = step_gradients(method(name, budget_tokens=budget, **settings))
        assert other["loss"] == pytest.approx(metrics["loss"], rel=1e-12)
        for left, right in zip(whole, parts, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", METHODS)
def test_micro_batches_never_change_a_gradient(name: str) -> None:
    check_invariance(name)


@pytest.mark.slow
def test_nor_do_they_with_every_term_and_all_weights() -> None:
    check_invariance("dpo", nll_weight=0.5, kl_mode="penalise", kl_weight=0.3)
    check_invariance("sft", kl_mode="penalise", kl_weight=0.3, full=True)


def test_a_loss_that_depends_on_the_micro_batch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a mean over the micro-batch's pairs in place of the step's."""
    right = dpo_module.dpo_loss
    monkeypatch.setattr(dpo_module, "dpo_loss", lambda first, second, q, *, beta: right(first, second, q, beta=beta) / len(q))
    with pytest.raises(AssertionError):
        check_invariance("dpo")


def test_dpo_and_the_reward_model_begin_at_ln_2() -> None:
    assert method("dpo", trained=False).step(1)["loss"] == pytest.approx(math.log(2), abs=1e-12)  # type: ignore[attr-defined]
    reward = method("reward", trained=False)
    assert reward.step(1)["loss"] == pytest.approx(math.log(2), abs=1e-12)  # type: ignore[attr-defined]
    assert method("kto", trained=False, weight_up=1.0, weight_down=1.0).step(1)["loss"] == pytest.approx(0.5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_falls(name: str) -> None:
    learner: Any = method(name, trained=False, learning_rate=1e-2)
    losses = [learner.step(number)["loss"] for number in range(1, learner.total_steps + 1)]
    assert losses[-1] < losses[0] - 0.02
    assert learner.total_steps == 8


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_method_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    whole: Any = method(name, validation=0.3)
    lines = [whole.step(number) for number in range(1, 6)]
    first: Any = method(name, validation=0.3, folder=tmp_path)
    for number in range(1, 4):
        first.step(number)
    second: Any = method(name, validation=0.3, folder=tmp_path)
    # Checkpoints of before named a head even where there is none.
    second.load_state_dict({"head": None} | first.state_dict())
    assert [second.step(number) for number in range(4, 6)] == lines[3:]
    assert second.validate() == whole.validate()
    with pytest.raises(Untrusted):
        second.load_state_dict({"policy": {}})


def test_the_reference_is_computed_once_and_kept(tmp_path: Path) -> None:
    first: Any = method("dpo", folder=tmp_path)
    first.step(1)
    files = sorted(tmp_path.iterdir())
    assert files
    second: Any = method("dpo", folder=tmp_path)
    second.policy.reference_logprobs = None  # whoever computes it again fails
    found = second.step(1)
    assert found["loss"] == pytest.approx(method("dpo").step(1)["loss"], abs=1e-12)  # type: ignore[attr-defined]
    files[0].write_bytes(files[0].read_bytes()[:-64])
    third: Any = method("dpo", folder=tmp_path)
    assert third.step(1)["loss"] == found["loss"]  # a damaged file is computed again


@pytest.mark.slow
def test_the_cap_on_the_kl_stops_and_penalises() -> None:
    free: Any = method("dpo", trained=False, learning_rate=3e-2)
    kls = [free.step(number)["kl"] for number in range(1, 9)]
    assert kls[0] < 1e-20 < kls[-1]
    capped: Any = method("dpo", trained=False, learning_rate=3e-2, kl_mode="stop", kl_limit=kls[3])
    seen = [capped.step(number) for number in range(1, 9)]
    assert capped.kl_stopped_at_step == next(place for place, kl in enumerate(kls, 1) if kl > kls[3])
    state = capped.policy.state_dict()
    assert seen[-1] == {"tokens": 0.0, "capped": 1.0}
    capped.step(8)
    assert all(torch.equal(value, state[name]) for name, value in capped.policy.state_dict().items())
    held: Any = method("dpo", trained=False, learning_rate=3e-2, kl_mode="penalise", kl_weight=3.0)
    assert [held.step(number)["kl"] for number in range(1, 9)][-1] < kls[-1] / 2


def test_replay_mixes_in_earlier_lessons() -> None:
    learner: Any = method("dpo", earlier=5, replay=0.5)
    new, old = set(learner.table.train_indices), set(learner.table.replay_indices)
    pairs = learner.table.pair_indices(learner.order.lessons_for_step(1))
    assert (len(new & set(pairs)), len(old & set(pairs))) == (3, 3)
    assert not old & set(learner.table.validation_indices)


def test_settings_round_trip_and_unknown_ones_are_refused() -> None:
    config = DpoConfig(beta=0.3, kl_mode="stop", kl_limit=0.5)
    assert DpoConfig.from_dict(config.to_dict()) == config
    with pytest.raises(BadInput, match="'bete'"):
        DpoConfig.from_dict({"bete": 0.3})
    for wrong in ({"kl_mode": "stop"}, {"beta": 0.0}, {"passes": 0}, {"validation": 1.0}, {"learning_rate": -1.0}):
        with pytest.raises(BadInput):
            DpoConfig.from_dict(wrong)


def test_no_usable_lesson_is_said() -> None:
    same = [replace(pair, second=pair.first) for pair in lessons("dpo", 3)]
    encoder = LessonEncoder(Letters(), Turns(), model_hash="none", max_tokens=100)
    with pytest.raises(BadInput, match="equal answers"):
        Dpo(DpoConfig(), tiny_policy(), same, encoder)
    for name in METHODS:
        with pytest.raises(BadInput):
            method(name, count=0)
