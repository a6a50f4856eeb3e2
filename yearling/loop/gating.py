"""Collects what is stored about a champion and a challenger, has it decided by the rules, and records the decision.

`gate_challenger` records a decision, and so does a promotion of a release that the gate has not decided on (`promotion.py`);
`decide_what_if` decides over chosen runs and records nothing. Nothing is generated here: each missing exam is named with the
command that runs it. Models are named by the hash that exam runs record, or by that of an adapter alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from yearling import __version__
from yearling.errors import BadInput, NotFound, Untrusted
from yearling.loop.incidents import incident_results
from yearling.release import (
    BoundEvidence,
    ClauseBugs,
    GateEvidence,
    GateRule,
    GateRuleRole,
    GateRules,
    GateVerdict,
    IncidentEvidence,
    MeasuredEvidence,
    MissingEvidence,
    PairedEvidence,
    RuleEvidence,
    decide,
    gate_record_sha256,
)
from yearling.store import INCIDENT_EXAM, ExamRun, GateRecord, Store

if TYPE_CHECKING:
    from yearling.evals import ExamComparison, PairedTestLevels, PairedTestResult, PreferenceCorrelation

MAX_RUNS_SEARCHED = 10_000
_SERVED = "assistant"
_EVIDENCE_TYPES: Mapping[str, type[Any]] = {
    "paired": PairedEvidence,
    "measured": MeasuredEvidence,
    "bounds": BoundEvidence,
    "incidents": IncidentEvidence,
    "missing": MissingEvidence,
}


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """A verdict and its record. `sha256` is that by which signed metadata names the record."""

    verdict: GateVerdict
    record: GateRecord
    sha256: str


def gate_challenger(
    store: Store, rules: GateRules, *, champion: str, challenger: str, actor: str, run_id: str = ""
) -> GateOutcome:
    """Decide whether the challenger may replace the champion, and record the decision with all its grounds.

    `run_id` is the training run behind the challenger, if there is one. Raises what reading the store raises.
    """
    verdict, body = preview_gate(store, rules, champion=champion, challenger=challenger, run_id=run_id)
    record = store.gates.record(champion=champion, challenger=challenger, decision=verdict.decision, body=body, actor=actor)
    return GateOutcome(verdict, record, gate_record_sha256(record))


def preview_gate(
    store: Store, rules: GateRules, *, champion: str, challenger: str, run_id: str = ""
) -> tuple[GateVerdict, dict[str, Any]]:
    """What `gate_challenger` would decide and record, without a record: also by rules that nobody signed."""
    collector = _Collector(store, rules, champion, challenger, run_id)
    evidence = collector.collect()
    verdict = decide(rules, evidence)
    body = {
        "decision": verdict.decision,
        "summary": verdict.summary,
        "overridable": verdict.overridable,
        "rules_sha256": rules.sha256,
        "rules_version": rules.version,
        "program_version": __version__,
        "findings": [{**asdict(finding), **collector.display.get(finding.rule, {})} for finding in verdict.findings],
        "evidence": {rule_id: _evidence_to_json(found) for rule_id, found in evidence.by_rule.items()},
    }
    return verdict, body


def replay_gate(rules: GateRules, record: GateRecord) -> GateVerdict:
    """Decide a recorded gate again from the evidence in its record. Raises Untrusted if the verdict is another one."""
    try:
        body: Mapping[str, Any] = record.body
        stored: Mapping[str, Any] = body["evidence"]
        by_rule = {rule_id: _evidence_from_json(found) for rule_id, found in stored.items()}
        findings: Sequence[Mapping[str, Any]] = body["findings"]
        recorded = [(finding["rule"], finding["decision"], finding["why"]) for finding in findings]
        summary = record.body["summary"]
    except (KeyError, TypeError, AttributeError) as error:
        raise Untrusted(f"The gate {record.id} has no evidence to decide by ({error!r}).", advice="Run the gate again.") from None
    evidence = GateEvidence(champion=record.champion, challenger=record.challenger, by_rule=by_rule)
    verdict = decide(rules, evidence)
    again = [(finding.rule, finding.decision, finding.why) for finding in verdict.findings]
    if (verdict.decision, verdict.summary, again) != (record.decision, summary, recorded):
        raise Untrusted(f"The gate {record.id} decides {verdict.decision} now; {record.decision} is recorded.")
    return verdict


def recompute_evidence(store: Store, rules: GateRules, record: GateRecord) -> tuple[GateEvidence, dict[str, str]]:
    """The evidence of a recorded gate again, from stored runs, and why it could not be computed for some rules.

    `store` has the runs that the record names and no other ones. What people preferred blind, the divergence that a training run
    recorded, and whether an exam has lost its power to gate, rest on records that such a store lacks: they are taken from the
    record. Raises KeyError, TypeError or AttributeError for a record without evidence.
    """
    body: Mapping[str, Any] = record.body
    stored: Mapping[str, Any] = body["evidence"]
    recorded = {rule_id: _evidence_from_json(found) for rule_id, found in stored.items()}
    findings: Sequence[Mapping[str, Any]] = body["findings"]
    display = {finding["rule"]: dict(finding) for finding in findings}
    collector = _Collector(store, rules, record.champion, record.challenger, "")
    by_rule: dict[str, RuleEvidence] = {}
    taken: dict[str, str] = {}
    for rule in rules.rules:
        known = recorded[rule.id]
        if isinstance(known, MissingEvidence):
            by_rule[rule.id] = known
            taken[rule.id] = "nothing was measured"
        elif rule.kind == "preference" and isinstance(known, PairedEvidence):
            by_rule[rule.id] = replace(known, p_better=display[rule.id]["paired"]["p_better"])
            taken[rule.id] = "it rests on who compared which answers blind"
        elif isinstance(known, MeasuredEvidence) and rule.kind == "kl" and not known.source.startswith("measured"):
            by_rule[rule.id] = known
            taken[rule.id] = "it rests on the metrics of a training run"
        else:
            found = collector._find(rule)
            if isinstance(found, PairedEvidence) and isinstance(known, PairedEvidence):
                found = replace(found, no_power=known.no_power)
            by_rule[rule.id] = found
    corrected = _correct_targets(rules, by_rule, {rule.id: {} for rule in rules.rules})
    return GateEvidence(champion=record.champion, challenger=record.challenger, by_rule=corrected), taken


def resolve_model_hash(store: Store, name: str) -> str:
    """The hash of a model: `name` itself if exam or spec runs record it, else that of the newest run on a model of that name.

    Raises NotFound if no run names it.
    """
    from yearling.evals import is_same_model

    runs = [(run.id, run.model, run.model_hash) for run in store.exams.list(limit=MAX_RUNS_SEARCHED)]
    runs += [(run.id, run.model, run.model_hash) for run in store.spec_runs.list(limit=MAX_RUNS_SEARCHED)]
    for _, model, model_hash in sorted(runs, reverse=True):
        if model == name or is_same_model(model_hash, name):
            return name if model != name else model_hash
    raise NotFound(f"No exam was run on {name!r}.", advice=f"Run `yearling exam run constraints --model {name}`.", param="model")


def decide_what_if(
    store: Store, targets: Sequence[tuple[str, str]], guards: Sequence[tuple[str, str]], *, margin: float
) -> tuple[GateVerdict, dict[str, dict[str, object]]]:
    """What a gate over these pairs of runs (champion's id, challenger's id) would decide. Records nothing and releases nothing.

    Returns the verdict, and the numbers behind each finding by its rule. Raises NotFound for an unknown run, and BadInput without
    a target, for runs that cannot be paired, and for runs of several pairs of models.
    """
    from yearling.evals import PairedTestLevels, compare_runs, correlate_exams_with_preference, find_gating_objection

    if not targets:
        raise BadInput("A gate needs a target: an exam on which the challenger must be better.", advice="Name one: `--target`.")
    levels = PairedTestLevels(margin=margin)
    correlations = correlate_exams_with_preference(store)
    rules: list[GateRule] = []
    by_rule: dict[str, RuleEvidence] = {}
    display: dict[str, dict[str, object]] = {}
    models: set[tuple[str, str]] = set()
    pairs_by_role: dict[GateRuleRole, Sequence[tuple[str, str]]] = {"target": targets, "guard": guards}
    for role, pairs in pairs_by_role.items():
        for old, new in pairs:
            found = compare_runs(store, old, new, levels)
            rule_id = f"{found.exam} ({role})" if found.exam in by_rule else found.exam
            rule_id = f"{rule_id} {len(rules) + 1}" if rule_id in by_rule else rule_id
            rules.append(GateRule(id=rule_id, version=1, kind="exam", role=role, exam=found.exam, margin=margin))
            objection = find_gating_objection(found, correlations)
            by_rule[rule_id] = _paired_evidence(found.paired, runs=(old, new), no_power=objection)
            display[rule_id] = _comparison_to_json(found)
            models.add((found.champion.model_hash, found.challenger.model_hash))
    if len(models) > 1:
        raise BadInput("The runs do not all belong to the same two models.")
    ((champion, challenger),) = models
    chosen = GateRules(version=1, rules=tuple(rules), sha256="")
    evidence = GateEvidence(champion=champion, challenger=challenger, by_rule=_correct_targets(chosen, by_rule, display))
    return decide(chosen, evidence), display


class _Collector:
    """Finds the evidence for each rule of one gate. `display` is what pages show of a comparison beside its finding."""

    def __init__(self, store: Store, rules: GateRules, champion: str, challenger: str, run_id: str) -> None:
        self._store, self._rules, self._run_id = store, rules, run_id
        self._champion, self._challenger = champion, challenger
        self._correlations: list[PreferenceCorrelation] | None = None
        self._runs: dict[str, list[ExamRun]] = {}
        self._comparisons: dict[tuple[str, float, float, float], ExamComparison | MissingEvidence] = {}
        self.display: dict[str, dict[str, object]] = {}

    def collect(self) -> GateEvidence:
        """The evidence for every rule; p-values of targets are corrected for the number of targets in the rules."""
        by_rule = _correct_targets(self._rules, {rule.id: self._find(rule) for rule in self._rules.rules}, self.display)
        return GateEvidence(champion=self._champion, challenger=self._challenger, by_rule=by_rule)

    def _find(self, rule: GateRule) -> RuleEvidence:
        if rule.kind in ("exam", "forgetting"):
            return self._compare_exam(rule)
        if rule.kind == "preference":
            return self._compare_preference(rule)
        if rule.kind == "floor":
            return self._read_floor(rule)
        if rule.kind == "bounds":
            return self._compare_bounds(rule)
        if rule.kind == "incidents":
            return self._read_incidents()
        return self._read_drift(rule)

    def _runs_of(self, exam: str) -> list[ExamRun]:
        """The finished runs of an exam on the assistant as served, newest first."""
        if exam not in self._runs:
            runs = self._store.exams.list(exam=exam, limit=MAX_RUNS_SEARCHED)
            self._runs[exam] = [run for run in runs if run.finished_utc is not None and run.subject == _SERVED]
        return self._runs[exam]

    def _runs_on(self, exam: str, model: str, min_cases: int = 1) -> list[ExamRun]:
        from yearling.evals import is_same_model

        runs = [run for run in self._runs_of(exam) if is_same_model(run.model_hash, model)]
        return [run for run in runs if run.summary["cases"] >= min_cases]

    def _compare_exam(self, rule: GateRule) -> RuleEvidence:
        from yearling.evals import correlate_exams_with_preference, find_gating_objection

        found = self._comparison(rule)
        if isinstance(found, MissingEvidence):
            return found
        if self._correlations is None:
            self._correlations = correlate_exams_with_preference(self._store)
        self.display[rule.id] = _comparison_to_json(found)
        objection = find_gating_objection(found, self._correlations)
        return _paired_evidence(found.paired, runs=(found.champion.id, found.challenger.id), no_power=objection)

    def _comparison(self, rule: GateRule) -> ExamComparison | MissingEvidence:
        """The newest runs of both models that pair up: the same exam, options, kind of subject and cases."""
        from yearling.evals import compare_runs

        levels = _levels(rule)
        key = (rule.exam, levels.alpha, levels.power, levels.margin)
        if key not in self._comparisons:
            old_runs, new_runs = (self._runs_on(rule.exam, model, rule.min_cases) for model in (self._champion, self._challenger))
            pair = next(((old, new) for new in new_runs for old in old_runs if old.exam_hash == new.exam_hash), None)
            self._comparisons[key] = (
                compare_runs(self._store, pair[0].id, pair[1].id, levels)
                if pair
                else self._missing_runs(rule, bool(old_runs), bool(new_runs))
            )
        return self._comparisons[key]

    def _missing_runs(self, rule: GateRule, has_old: bool, has_new: bool) -> MissingEvidence:
        command = "yearling spec run" if rule.exam == "spec" else f"yearling exam run {rule.exam} --model"
        cases = f" with at least {rule.min_cases} cases" if rule.min_cases > 1 else ""
        if has_old and has_new:
            return MissingEvidence(
                f"The runs of {rule.exam} do not pair up, because their options differ: run `{command} MODEL` with the same "
                "options on both models."
            )
        who = "champion and challenger" if not has_old and not has_new else "the challenger" if has_old else "the champion"
        return MissingEvidence(f"No finished run of {rule.exam}{cases} on {who}: run `{command} MODEL`.")

    def _compare_preference(self, rule: GateRule) -> RuleEvidence:
        from yearling.evals import blind_preference_test

        paired = blind_preference_test(self._store, self._champion, self._challenger, _levels(rule))
        if paired is None:
            return MissingEvidence(
                "Nobody has compared the two models blind: start a round of the kind `models`, then run `yearling consensus run`."
            )
        self.display[rule.id] = {"paired": asdict(paired), "p_adjusted": paired.p_tolerable}
        return _paired_evidence(paired, unit="judgement")

    def _read_floor(self, rule: GateRule) -> RuleEvidence:
        runs = self._runs_on(rule.exam, self._challenger, rule.min_cases)
        if not runs:
            return self._missing_runs(rule, True, False)
        summary = runs[0].summary
        values = {
            "mean": summary["measures"][0]["value"],
            "worst": summary["draws"]["worst"],
            "answered": 1 - summary["errors"] / summary["samples"],
        }
        value = values[rule.statistic]
        if value is None or not math.isfinite(value):
            return MissingEvidence(f"The run {runs[0].id} of {rule.exam} has no {rule.statistic} score: run the exam again.")
        return MeasuredEvidence(value=value, n=summary["cases"], source=f"exam {rule.exam}", runs=(runs[0].id,))

    def _compare_bounds(self, rule: GateRule) -> RuleEvidence:
        from yearling.evals import compare_served_spec_level

        found = compare_served_spec_level(self._store, champion=self._champion, challenger=self._challenger, level=rule.level)
        if found is None:
            return MissingEvidence(
                "The two models have no comparable runs of the whole behaviour spec as it is now: run `yearling spec run MODEL` "
                "on both."
            )
        clauses = tuple(ClauseBugs(each.clause, each.outputs, each.champion_bugs, each.challenger_bugs) for each in found.clauses)
        return BoundEvidence(clauses=clauses, p_more=found.p_more, runs=(found.champion.id, found.challenger.id))

    def _read_incidents(self) -> RuleEvidence:
        from yearling.evals import build_incident_exam

        exam = build_incident_exam(self._store.incidents.list(state={"accepted"}))
        if exam is None:
            return IncidentEvidence(num_passed=0, failed=())
        runs = [run for run in self._runs_on(INCIDENT_EXAM, self._challenger) if run.exam_hash == exam.hash]
        command = "run `yearling incident check --model CHALLENGER`"
        if not runs:
            return MissingEvidence(f"The challenger was not checked on all {len(exam.cases)} accepted incidents: {command}.")
        results = incident_results(self._store.exams.list_samples(runs[0].id))
        if unknown := [result.incident_id for result in results if result.passed is None]:
            return MissingEvidence(f"The challenger could not answer the incident {unknown[0]}: {command} again.")
        failed = tuple(result.incident_id for result in results if not result.passed)
        return IncidentEvidence(num_passed=len(results) - len(failed), failed=failed, runs=(runs[0].id,))

    def _read_drift(self, rule: GateRule) -> RuleEvidence:
        """The newest drift run of the challenger against this champion; for `kl`, what its training recorded as a substitute."""
        from yearling.evals import DRIFT_EXAM, is_same_model

        runs = self._runs_on(DRIFT_EXAM, self._challenger)
        run = next((run for run in runs if is_same_model(str(run.settings["source"]), self._champion)), None)
        if run is not None:
            measure = next((each for each in run.summary["measures"] if each["name"] == rule.kind), None)
            if measure and measure["value"] is not None:
                tokens = run.summary["completion_tokens"]
                return MeasuredEvidence(value=measure["value"], n=tokens, source="measured by drift", runs=(run.id,))
        if rule.kind == "kl" and (recorded := self._recorded_kl()):
            return recorded
        return MissingEvidence("It was not measured: run `yearling exam drift CHALLENGER --champion CHAMPION`.")

    def _recorded_kl(self) -> MeasuredEvidence | None:
        """The divergence from its base that the training run recorded last, up to the checkpoint that was published."""
        if not self._run_id:
            return None
        try:
            run = self._store.runs.get(self._run_id)
            rows = self._store.runs.read_metrics(self._run_id)
        except (NotFound, Untrusted):
            return None
        last_step = run.best_step if run.best_step is not None else run.step
        rows = [row for row in rows if row["step"] <= last_step and isinstance(row.get("kl"), float)]
        if not rows or not math.isfinite(rows[-1]["kl"]):
            return None
        tokens = int(sum(row.get("tokens", 0) for row in rows))
        source = "from its base, recorded by training"
        return MeasuredEvidence(value=rows[-1]["kl"], n=tokens, source=source, runs=(run.id,))


def _correct_targets(
    rules: GateRules, by_rule: Mapping[str, RuleEvidence], display: Mapping[str, dict[str, object]]
) -> dict[str, RuleEvidence]:
    """The evidence with the p-values of targets corrected for the number of targets in the rules (Holm).

    A target without a result counts as one that failed: otherwise choosing which exams to run would choose the level.
    """
    from yearling.evals import holm_adjust

    corrected = dict(by_rule)
    p_values = {rule.id: _target_p_value(by_rule[rule.id]) for rule in rules.rules if rule.role == "target"}
    for rule_id, p in holm_adjust(p_values).items():
        found = by_rule[rule_id]
        if isinstance(found, PairedEvidence):
            corrected[rule_id] = replace(found, p_better=p)
            display[rule_id]["p_adjusted"] = p
    return corrected


def _target_p_value(found: RuleEvidence) -> float:
    return found.p_better if isinstance(found, PairedEvidence) and not found.no_power else 1.0


def _comparison_to_json(found: ExamComparison) -> dict[str, object]:
    """What pages show of a comparison beside its finding. `p_adjusted` is that of a guard until targets are corrected."""
    return {
        "champion_run": found.champion.id,
        "challenger_run": found.challenger.id,
        "interval": asdict(found.interval),
        "paired": asdict(found.paired),
        "p_adjusted": found.paired.p_tolerable,
    }


def _levels(rule: GateRule) -> PairedTestLevels:
    from yearling.evals import PairedTestLevels

    margin = rule.budget if rule.kind == "forgetting" else rule.margin
    return PairedTestLevels(alpha=rule.alpha, power=rule.power, margin=margin)


def _paired_evidence(paired: PairedTestResult, **fields: Any) -> PairedEvidence:
    return PairedEvidence(
        n=paired.n,
        difference=paired.difference,
        p_better=paired.p_better,
        p_worse=paired.p_worse,
        p_tolerable=paired.p_tolerable,
        detectable=paired.detectable,
        **fields,
    )


def _evidence_to_json(found: RuleEvidence) -> dict[str, object]:
    name = next(name for name, kind in _EVIDENCE_TYPES.items() if isinstance(found, kind))
    return {"type": name, **asdict(found)}


def _evidence_from_json(stored: Mapping[str, Any]) -> RuleEvidence:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name != "type"}
    if stored["type"] == "bounds":
        fields["clauses"] = tuple(ClauseBugs(**clause) for clause in fields["clauses"])
    found: RuleEvidence = _EVIDENCE_TYPES[stored["type"]](**fields)
    return found
