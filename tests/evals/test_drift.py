"""Drift: the sums of log-probabilities, on scripted models whose log-probabilities are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from yearling.config import Settings
from yearling.errors import BadInput, Unsupported
from yearling.evals import AssistantSubject, DriftModels, DriftSubject, ExamDataFolders, build_drift_exam, regrade_run, run_exam
from yearling.inference import FakeEngine, ServedModel, fake_served_model
from yearling.loop import gate_challenger
from yearling.release import parse_rules
from yearling.store import Store

RULES = """version = 1
[[rule]]
id = "gain"
version = 1
kind = "preference"
role = "target"
[[rule]]
id = "kl"
version = 1
kind = "kl"
max = 0.3
[[rule]]
id = "parity"
version = 1
kind = "parity"
max = 0.2
"""


class ShiftedEngine(FakeEngine):
    """A fake engine whose log-probabilities of given tokens are moved: up and down in turn, or all by the same amount."""

    def __init__(self, *, shift: float = 0.0, wobble: float = 0.0, model_hash: str = "c") -> None:
        super().__init__(["One two three."], model_hash=model_hash)
        self._shift, self._wobble = shift, wobble

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        scores = await super().score(sequences, adapter_hash=adapter_hash)
        return [
            [value + self._shift + (self._wobble if place % 2 else -self._wobble) for place, value in enumerate(answer)]
            for answer in scores
        ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def models(*, kl: float = 0.0, parity: float = 0.0) -> DriftModels:
    return DriftModels(
        challenger=fake_served_model("new", ShiftedEngine(model_hash="new")),
        champion=fake_served_model("old", ShiftedEngine(shift=-kl, model_hash="old")),
        trained=fake_served_model("new", ShiftedEngine(wobble=parity, model_hash="new")),
    )


async def test_kl_and_parity_are_the_means_over_tokens_and_decide_gates(store: Store, tmp_path: Path) -> None:
    chosen = models(kl=0.25, parity=0.1)
    exam = build_drift_exam(ExamDataFolders(tmp_path), chosen.champion, num_prompts=4)
    run = await run_exam(exam, DriftSubject(chosen), store)
    measures = {measure["name"]: measure["value"] for measure in run.summary["measures"]}
    assert measures == {"score": 1.0, "kl": pytest.approx(0.25), "parity": pytest.approx(0.1)}
    assert run.settings["sampling"]["temperature"] == 1.0
    assert regrade_run(exam, store, run.id).changed == ()
    old, new = (AssistantSubject(served).model_hash for served in (chosen.champion, chosen.challenger))
    outcome = gate_challenger(store, parse_rules(RULES), champion=old, challenger=new, actor="ann")
    decisions = {finding.rule: finding.decision for finding in outcome.verdict.findings}
    assert decisions == {"gain": "INCONCLUSIVE", "kl": "ALLOW", "parity": "ALLOW"}
    against_another = gate_challenger(store, parse_rules(RULES), champion="another", challenger=new, actor="ann")
    assert all("yearling exam drift" in finding.why for finding in against_another.verdict.findings if finding.role == "guard")


async def test_distance_beyond_the_budget_rejects(store: Store, tmp_path: Path) -> None:
    chosen = models(kl=0.4, parity=0.3)
    exam = build_drift_exam(ExamDataFolders(tmp_path), chosen.champion, num_prompts=2)
    await run_exam(exam, DriftSubject(chosen), store)
    old, new = (AssistantSubject(served).model_hash for served in (chosen.champion, chosen.challenger))
    outcome = gate_challenger(store, parse_rules(RULES), champion=old, challenger=new, actor="ann")
    assert {finding.decision for finding in outcome.verdict.findings if finding.role == "guard"} == {"REJECT"}


def test_models_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    chosen = models()
    other: ServedModel = replace(chosen.trained, adapter_hash="ab" * 32)
    with pytest.raises(BadInput, match="their adapters differ"):
        DriftSubject(replace(chosen, trained=other))
    silent = FakeEngine()
    silent.capabilities = replace(silent.capabilities, score=False)
    mute = fake_served_model("mute", silent)
    with pytest.raises(Unsupported, match="cannot return the log-probabilities"):
        DriftSubject(replace(chosen, champion=mute))
    with pytest.raises(BadInput, match="at least one prompt"):
        build_drift_exam(ExamDataFolders(tmp_path), chosen.champion, num_prompts=0)
