"""Which exams the rules of the gate need, and the gate's decision on them, made once however often it is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from yearling.canonical import canonical_json
from yearling.loop.cycle.tools import ExamRequest
from yearling.loop.gating import GateOutcome, preview_gate
from yearling.release import GateRules, gate_record_sha256
from yearling.store import INCIDENT_EXAM, Store

DRIFT_EXAM = "drift"
SPEC_EXAM = "spec"

MAX_DRIFT_PROMPTS = 100
_TOKENS_PER_DRIFT_PROMPT = 10
"""Answers of drift have at least so many tokens on average, so that the rules get the tokens that they ask for."""


def required_exams(store: Store, rules: GateRules) -> tuple[list[ExamRequest], list[ExamRequest]]:
    """The exams of the champion, and those of the challenger. Rules that only report are not worth the time."""
    champion: dict[str, int] = {}
    challenger: dict[str, int] = {}

    def need(exam: str, cases: int, *, both: bool) -> None:
        for known in (champion, challenger) if both else (challenger,):
            known[exam] = max(known.get(exam, 1), cases)

    for rule in rules.rules:
        if rule.role == "report":
            continue
        if rule.kind in ("exam", "forgetting"):
            need(rule.exam, rule.min_cases, both=True)
        elif rule.kind == "floor":
            need(rule.exam, rule.min_cases, both=False)
        elif rule.kind == "bounds":
            need(SPEC_EXAM, 1, both=True)
        elif rule.kind in ("kl", "parity"):
            need(DRIFT_EXAM, min(MAX_DRIFT_PROMPTS, math.ceil(rule.min_tokens / _TOKENS_PER_DRIFT_PROMPT)), both=False)
        elif rule.kind == "incidents" and store.incidents.list(state={"accepted"}):
            need(INCIDENT_EXAM, 1, both=False)
    return _requests(champion), _requests(challenger)


def decide_gate_once(
    store: Store, rules: GateRules, *, champion: str, challenger: str, actor: str, run_id: str, since: datetime
) -> GateOutcome:
    """The gate's decision. One with the same grounds that was recorded at `since` or later is not recorded again."""
    verdict, body = preview_gate(store, rules, champion=champion, challenger=challenger, run_id=run_id)
    wanted = canonical_json(body)
    for record in store.gates.list(challenger=challenger):
        if record.created_utc >= since and record.champion == champion and canonical_json(record.body) == wanted:
            return GateOutcome(verdict, record, gate_record_sha256(record))
    record = store.gates.record(champion=champion, challenger=challenger, decision=verdict.decision, body=body, actor=actor)
    return GateOutcome(verdict, record, gate_record_sha256(record))


def _requests(cases_of: dict[str, int]) -> list[ExamRequest]:
    """In the order of their names, but the spec last: it takes longest."""
    names: Sequence[str] = sorted(cases_of, key=lambda name: (name == SPEC_EXAM, name))
    return [ExamRequest(exam=name, cases=cases_of[name]) for name in names]
