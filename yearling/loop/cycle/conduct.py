"""Conducts a cycle: consensus, lessons, training, exams, gate, proposal, canary, promotion, one after the other.

A step that is marked as done is not done again. A step that was killed is done again, and everything that it stores is either
found (by content, or because it began after this cycle did) or made anew with the same bytes. So a cycle that was killed at any
moment ends with the decisions and the artefacts that it would have had.

Where the gate refuses, the cycle ends there. Where people have to sign, or the canary has not seen enough, it waits, and goes on
with `resume` when something has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from yearling import __version__
from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import BadInput, Conflict
from yearling.loop.canary import assess_canary
from yearling.loop.costs import measured_cost
from yearling.loop.cycle.evidence import decide_gate_once, required_exams
from yearling.loop.cycle.folder import CycleEnd, CycleFolder, CycleOutcome, StepRecord
from yearling.loop.cycle.lessons import PRACTICE_SETTINGS, build_judged_lessons, build_practice, practice_requests
from yearling.loop.cycle.options import STEPS, CycleOptions
from yearling.loop.cycle.tools import CycleTools, ExamResult
from yearling.loop.jobs.kinds import parse_settings
from yearling.loop.promotion import prepare_promotion
from yearling.loop.training_plan import TrainingPlan, run_training_plan
from yearling.release import (
    Change,
    GateRules,
    ReleaseAuthority,
    ReleaseState,
    default_rules_text,
    parse_rules,
    release_name,
    store_draft,
)
from yearling.store import Store

if TYPE_CHECKING:
    from yearling.tasks import ExamFingerprint
    from yearling.training import ArtefactStores, TrainingProgress

STEP_SHARES: Mapping[str, float] = {
    "consensus": 0.02,
    "lessons": 0.08,
    "training": 0.35,
    "exams": 0.48,
    "gate": 0.01,
    "proposal": 0.01,
    "canary": 0.04,
    "promotion": 0.01,
}
"""The share of a cycle's time that each step takes, for its progress."""

_MAX_TRAINING_SHARE = 0.6
"""Training is stopped when it has used this share of the hours of a cycle, so that the exams have the rest."""


_ENDS_AS_ASKED: Mapping[str, str] = {
    "consensus": "What people agree on is computed, as asked; nothing is learnt yet.",
    "lessons": "The lessons are ready, as asked; nothing is learnt yet.",
    "training": "The new model is trained, as asked, and not tested yet.",
    "exams": "The new model is tested, as asked, and nothing is decided yet.",
    "gate": "The new model is tested, as asked, and not in use yet.",
    "proposal": "The new model is proposed as a release, as asked, and not in use yet.",
    "canary": "The new model is tried on some people, as asked, and not in use for all yet.",
}


class _CycleEndedError(Exception):
    """A step ended the cycle."""

    def __init__(self, outcome: CycleOutcome, why: str, advice: str = "") -> None:
        super().__init__(why)
        self.outcome, self.why, self.advice = outcome, why, advice


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleParts:
    """What a cycle works with. `report` gets the progress of the cycle from 0 to 1 and a text, and may raise to end the work."""

    settings: Settings
    store: Store
    tools: CycleTools
    threads: int
    report: Callable[[float, str], None]
    log: Callable[[str], None]
    computing: Callable[[], AbstractContextManager[None]]
    """The context of training while it only computes, as in `train_and_publish`."""
    fingerprints: Callable[[], Sequence[ExamFingerprint]]
    """The questions of all exams, which no lesson may contain."""


def run_cycle(folder: CycleFolder, options: CycleOptions, parts: CycleParts) -> CycleEnd:
    """Run a cycle to its end, or go on with it. Raises Conflict while another process does, and what the steps raise."""
    with folder.locked():
        if (end := folder.read_end()) is not None:
            return end
        conductor = _Conductor(folder, options, parts)
        try:
            end = conductor.run()
        except _CycleEndedError as ended:
            end = folder.write_end(ended.outcome, ended.why, ended.advice)
        parts.log(f"The cycle ended ({end.outcome}): {end.why}")
        return end


class _Conductor:
    """One attempt at a cycle."""

    def __init__(self, folder: CycleFolder, options: CycleOptions, parts: CycleParts) -> None:
        self._folder, self._parts = folder, parts
        self._store, self._tools, self._settings = parts.store, parts.tools, parts.settings
        if (folder.path / "cycle.json").exists():
            self._start = folder.start()
        else:
            champion = parts.tools.champion()
            self._start = folder.begin(
                options,
                champion=champion.name,
                champion_hash=champion.model_hash,
                base=champion.base,
                program_version=__version__,
            )
        self._options = self._start.options
        self._authority = ReleaseAuthority(parts.settings.data_dir / "release", parts.store)
        self._training_began = now_utc()

    def run(self) -> CycleEnd:
        """The steps in their order."""
        steps: Mapping[str, Callable[[], Mapping[str, Any]]] = {
            "consensus": self._consensus,
            "lessons": self._lessons,
            "training": self._training,
            "exams": self._exams,
            "gate": self._gate,
            "proposal": self._proposal,
            "canary": self._canary,
            "promotion": self._promotion,
        }
        for name in STEPS:
            if self._folder.read_step(name) is None:
                self._report(name, 0.0, f"{name.capitalize()} begins")
                started = now_utc()
                with measured_cost() as cost:
                    result = steps[name]()
                self._folder.write_step(
                    StepRecord(
                        name=name,
                        result=result,
                        started_utc=started,
                        ended_utc=now_utc(),
                        cpu_s=cost.cpu_s,
                        joules=cost.joules,
                    )
                )
                self._parts.log(f"{name.capitalize()} done: {_short(result)}")
            self._end_if_due(name)
        release = self._result("proposal")["name"]
        return self._folder.write_end("promoted", f"The model that answers now is {release}.")

    def _end_if_due(self, name: str) -> None:
        """End the cycle after a step that refuses, or that was to be the last."""
        if name == "gate" and (gate := self._result("gate"))["decision"] != "ALLOW":
            advice = "The model that answers stays as it is. Judge more answers, or try other settings, and start another cycle."
            raise _CycleEndedError("refused", gate["summary"], advice)
        if name == self._options.until and name != STEPS[-1]:
            raise _CycleEndedError("measured", _ENDS_AS_ASKED[name])

    # The steps

    def _consensus(self) -> Mapping[str, Any]:
        from yearling.feedback import EventIndex, run_and_record

        if self._options.source == "practice":
            return {}
        found = run_and_record(self._store, EventIndex(self._store), on_status=lambda text: self._report("consensus", 0.5, text))
        return {"run": found.record.sequence, "up_to": found.record.up_to, "snapshot": found.record.snapshot_sha256}

    def _lessons(self) -> Mapping[str, Any]:
        from yearling.tasks import freeze_lesson_set

        settings = parse_settings(self._options.settings)
        if self._options.source == "judgements":
            try:
                built = build_judged_lessons(
                    self._store, self._parts.fingerprints(), method=self._options.method, settings=settings
                )
            except BadInput as error:
                raise _CycleEndedError("nothing", error.message, error.advice) from None
            if built.lesson_set in self._learnt_sets():
                raise _CycleEndedError(
                    "nothing", "The model that answers has learnt these lessons already.", "Judge more answers first."
                )
            return asdict(built)
        count, seed = self._options.practice_tasks, self._options.seed
        drafts = self._tools.collect_drafts(
            practice_requests(count, seed), self._folder.path / "drafts", progress=self._counter("lessons", "Drafts")
        )
        lessons = build_practice(drafts, num_tasks=count, seed=seed)
        frozen = freeze_lesson_set(lessons, self._settings.data_dir / "lessons")
        return {
            "lesson_set": frozen.hash,
            "version": None,
            "method": "sft",
            "settings": {**PRACTICE_SETTINGS, "seed": seed, **settings},
            "num_lessons": len(lessons),
            "unused": {},
            "num_judgements": 0,
            "num_people": 0,
        }

    def _training(self) -> Mapping[str, Any]:
        from yearling.training import ArtefactStores, RunSetup, TrainOptions, choose_device, choose_dtype

        lessons = self._result("lessons")
        device = choose_device("auto")
        stores = ArtefactStores.from_data_dir(self._settings.data_dir)
        setup = RunSetup(
            model=self._start.base,
            rank=self._options.rank,
            adapter=self._adapter_to_keep(stores),
            device=device,
            dtype=choose_dtype("auto", device),
            lessons=lessons["lesson_set"],
        )
        plan = TrainingPlan(
            method=lessons["method"], settings=lessons["settings"], setup=setup, options=asdict(TrainOptions(checkpoint_s=60.0))
        )
        trained = run_training_plan(
            plan,
            self._settings,
            stores,
            folder=self._folder.path,
            threads=self._parts.threads,
            command=["yearling", "cycle"],
            on_progress=self._report_training,
            is_time_up=self._is_training_time_up,
            computing=self._parts.computing,
        )
        if not trained.adapter:
            raise _CycleEndedError("stopped", "The training was stopped.", "Go on with `yearling cycle resume`.")
        return asdict(trained)

    def _exams(self) -> Mapping[str, Any]:
        champion_exams, challenger_exams = required_exams(self._store, self._rules())
        names = {"champion": self._start.champion, "challenger": str(self._result("training")["model"])}
        requests = {"champion": champion_exams, "challenger": challenger_exams}
        found: dict[str, list[ExamResult]] = {}
        for position, role in enumerate(("champion", "challenger")):
            found[role] = self._tools.run_exams(
                names[role],
                requests[role],
                champion=names["champion"],
                since=None if role == "champion" else self._start.created_utc,
                progress=self._counter("exams", f"Exams of the {role}", low=position / 2, high=(position + 1) / 2),
            )
        return {role: [asdict(result) for result in results] for role, results in found.items()}

    def _gate(self) -> Mapping[str, Any]:
        exams = self._result("exams")
        outcome = decide_gate_once(
            self._store,
            self._rules(),
            champion=self._start.champion_hash,
            challenger=exams["challenger"][0]["model_hash"],
            actor=self._store.people.owner().id,
            run_id=self._result("training")["run"],
            since=self._start.created_utc,
        )
        findings = [asdict(finding) for finding in outcome.verdict.findings]
        return {
            "decision": outcome.verdict.decision,
            "summary": outcome.verdict.summary,
            "gate": outcome.record.id,
            "sha256": outcome.sha256,
            "findings": findings,
        }

    def _proposal(self) -> Mapping[str, Any]:
        if not self._authority.exists():
            first = self._tools.draft(self._settings.model, title="the model of the first start", parent=None)
            self._authority.bootstrap(first, self._store.people.owner(), rules=default_rules_text())
        self._authority.renew_online()
        state = self._authority.state()
        draft = self._tools.draft(self._result("training")["model"], title=self._title(), parent=state.champion)
        release = store_draft(self._store, draft, state)
        if release.number not in (state.challenger, state.champion):
            change = Change(kind="start_canary", release=release.number, reason="Proposed by a learning cycle.")
            self._propose(change, release.number)
        return {"release": release.number, "name": release_name(release)}

    def _canary(self) -> Mapping[str, Any]:
        number, state = int(self._result("proposal")["release"]), self._authority.state()
        if state.champion == number:
            return {"decision": "ready", "sentence": "It is the champion already."}
        if state.challenger != number:
            raise _CycleEndedError("stopped", "Somebody took the release out of the canary.", "Propose it again if you want it.")
        self._tools.replay_canary(state, self._counter("canary", "Canary"))
        report = assess_canary(self._store, state, rules=self._rules().canary)
        if report.decision == "stop":
            raise _CycleEndedError("refused", f"The canary stopped it: {report.reason}", "The model that answers stays as it is.")
        if report.decision != "ready":
            why = f"The canary has seen {report.pairs} pairs of answers, which is not enough yet. {report.plan.sentence}"
            raise _CycleEndedError("waiting", why, "Let people use the assistant, then `yearling cycle resume`.")
        return {"decision": report.decision, "pairs": report.pairs, "sentence": report.seen}

    def _promotion(self) -> Mapping[str, Any]:
        number, state = int(self._result("proposal")["release"]), self._authority.state()
        if state.champion != number:
            release = self._store.releases.get(number)
            change = prepare_promotion(
                self._store, release, state, actor=self._store.people.owner().id, reason="Proven by a learning cycle."
            )
            self._propose(change, number)
        return {"release": number}

    # Shared by the steps

    def _propose(self, change: Change, number: int) -> None:
        """Propose a change unless it is pending, and end the cycle if people have to sign it."""
        waiting = self._authority.pending()
        same = [each for each in waiting if (each.change.kind, each.change.release) == (change.kind, number)]
        if waiting and not same:
            raise _CycleEndedError(
                "waiting",
                "Another change of the releases waits for signatures.",
                "Sign or cancel it: `yearling release pending`.",
            )
        pending = same[0] if same else self._authority.propose(change, actor=self._store.people.owner().id)
        if not pending.is_published:
            signed = set(pending.signed_by)
            names = sorted(holder.name for holder in self._authority.state().holders if holder.key_id not in signed)
            why = f"{pending.threshold - len(signed)} of these key-holders have to sign: {', '.join(names)}."
            raise _CycleEndedError("waiting", why, f"`yearling release sign {pending.id}`, then `yearling cycle resume`.")

    def _rules(self) -> GateRules:
        return parse_rules(self._signed_state_rules() or default_rules_text())

    def _signed_state_rules(self) -> str:
        state: ReleaseState | None = self._authority.state() if self._authority.exists() else None
        return state.rules if state is not None else ""

    def _result(self, name: str) -> Mapping[str, Any]:
        record = self._folder.read_step(name)
        if record is None:
            raise Conflict(f"The step {name} of the cycle {self._folder.id} is not done.", advice="Start a new cycle.")
        return record.result

    def _learnt_sets(self) -> set[str]:
        """The lesson sets of the run behind the champion, which need not be learnt again."""
        if not self._authority.exists():
            return set()
        state = self._authority.state()
        release = state.releases.get(state.champion) if state.champion is not None else None
        return {release.lesson_set} if release is not None and release.lesson_set else set()

    def _adapter_to_keep(self, stores: ArtefactStores) -> str:
        """The hash of the champion's adapter, from which practice goes on. Lessons of judgements are all learnt from the base."""
        is_adapter = "+" in self._start.champion and self._options.source == "practice"
        return stores.adapters.get(self._start.champion).sha256 if is_adapter else ""

    def _title(self) -> str:
        lessons = self._result("lessons")
        what = "lessons" if self._options.source == "judgements" else "tasks of practice"
        return f"learnt {lessons['num_lessons']} {what}"

    def _is_training_time_up(self) -> bool:
        used_h = (now_utc() - self._training_began).total_seconds() / 3600
        return used_h > self._settings.cycle_hours * _MAX_TRAINING_SHARE

    def _report_training(self, progress: TrainingProgress) -> None:
        text = f"Training: step {progress.step} of {progress.total_steps}"
        self._report("training", progress.step / max(1, progress.total_steps), text)

    def _counter(self, step: str, text: str, *, low: float = 0.0, high: float = 1.0) -> Callable[[int, int], None]:
        def count(done: int, total: int) -> None:
            self._report(step, low + (high - low) * done / max(1, total), f"{text}: {done} of {total}")

        return count

    def _report(self, step: str, share: float, text: str) -> None:
        before = sum(STEP_SHARES[name] for name in STEPS[: STEPS.index(step)])
        self._parts.report(before + STEP_SHARES[step] * share, text)


def _short(result: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in result.items() if isinstance(value, str | int | float) and value != "")
