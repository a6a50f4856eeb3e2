"""`yearling audit check`: recomputes every figure of a release from an export alone. Generates nothing and trusts nothing in it.

The chain and the signatures are verified. Grades come from deterministic graders over the stored answers, summaries and gate
evidence from the same code that made them, over a store that is filled with the rows of the export. Every figure is then
`reproduced`, byte for byte, or `differs`, or was `not recomputed`, with the reason.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from yearling.config import Settings
from yearling.errors import Untrusted, UserError
from yearling.feedback import ReplayReport, replay_publication
from yearling.loop.gating import recompute_evidence, replay_gate
from yearling.loop.referee.archive import OpenExport, open_export
from yearling.loop.referee.canary_checks import CANARY_STOP, check_canaries
from yearling.loop.referee.differences import find_difference, readable_row
from yearling.loop.referee.export import evidence_runs
from yearling.loop.referee.log_checks import (
    CHECKED_ACTIONS,
    AuditFault,
    LogIndex,
    check_gates,
    check_incidents,
    check_releases,
    check_signatures,
    check_stops,
)
from yearling.loop.referee.program import describe_exporter, describe_program
from yearling.loop.referee.run_checks import RunChecks
from yearling.records import AuditEntry
from yearling.release import (
    MAX_METADATA_BYTES,
    GateRules,
    GateVerdict,
    MetadataHistory,
    ReleaseDecision,
    decide,
    default_rules_text,
    gate_record_sha256,
    parse_rules,
    read_history,
)
from yearling.store import (
    INCIDENT_EXAM,
    AuditTableName,
    GateRecord,
    Release,
    Store,
    load_audit_rows,
    release_bytes,
    release_from_bytes,
    verify_audit_entries,
)

if TYPE_CHECKING:
    from yearling.evals import ExamDataFolders

FigureState = Literal["reproduced", "differs", "not recomputed"]
OnStatus = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckedFigure:
    """One thing that was computed again. `subject` is `log`, `consensus`, or a release, gate or run with its id."""

    subject: str
    name: str
    state: FigureState
    detail: str = ""
    """Where it first differs, or why it was not computed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefereeReport:
    """The result of a check. `program` says which other version to use for a release, and how; usually empty."""

    entries: int
    head: str
    first_root: str
    """SHA-256 of the first root: whose it is, only its key-holders can say."""
    releases: int
    figures: tuple[RecheckedFigure, ...]
    samples: int
    """Stored answers of exams and of the spec."""
    regraded: int
    withheld: int
    """Answers that could not be graded again because their words are hashed."""
    programs: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not any(figure.state == "differs" for figure in self.figures)


def check_audit_export(
    path: Path, *, folders: ExamDataFolders | None = None, on_status: OnStatus = lambda sentence: None
) -> RefereeReport:
    """Check an export. `folders` has the published checkers that graders of some exams run.

    Raises NotFound, BadInput, and Untrusted for a file that is no complete export.
    """
    with tempfile.TemporaryDirectory(prefix="yearling-audit-") as scratch:
        on_status("Reading the export")
        export = open_export(path, Path(scratch) / "export")
        try:
            return _Recheck(export, Path(scratch), path, folders, on_status).run()
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError) as error:
            reason = f"{type(error).__name__}: {error}"[:200]
            raise Untrusted(
                f"This export has a record that is none of Yearling's ({reason}).", advice="Get the file from its source again."
            ) from None


class _Recheck:
    """One check."""

    def __init__(
        self, export: OpenExport, scratch: Path, path: Path, folders: ExamDataFolders | None, on_status: OnStatus
    ) -> None:
        self._export, self._scratch, self._path = export, scratch, path
        self._folders, self._on_status = folders, on_status
        self._figures: list[RecheckedFigure] = []

    def run(self) -> RefereeReport:
        """Check everything, in the order in which a figure rests on another."""
        export = self._export
        self._on_status("Verifying the log")
        entries: list[AuditEntry] = []
        hashes: dict[int, str] = {}
        chain = verify_audit_entries(self._read_log(entries, hashes))
        broken = "" if chain.broken_at is None else f"Entry {chain.broken_at} breaks the chain: {chain.reason}."
        self._add("log", "chain", broken)
        self._on_status("Verifying signatures")
        history = self._read_history()
        releases = [release_from_bytes(str(row["record"]).encode()) for row in export.lines("releases.jsonl")]
        gates = {gate.id: gate for gate in map(_gate_from_row, export.lines("gates.jsonl"))}
        log = LogIndex(entries, hashes)
        self._check_log(log, history, releases, list(gates.values()))
        with Store.open(Settings(data_dir=self._scratch / "all")) as store:
            self._load(store, None)
            runs = RunChecks(store, export, self._folders, self._on_status)
            for subject, name, difference, skipped in runs.check():
                self._add(subject, name, difference, skipped=skipped)
        self._on_status("Following the canaries again")
        for number, difference, skipped in check_canaries(export, history, entries, self._scratch):
            self._add(f"release {number}", "canary", difference, skipped=skipped)
        self._check_consensus(releases)
        decided = self._signed_decisions(history, gates)
        for number, gate in enumerate(decided):
            self._check_gate(gate, history, self._scratch / f"gate-{number}")
        self._check_releases(history, releases, gates)
        return RefereeReport(
            entries=chain.num_entries,
            head=chain.head,
            first_root=history.roots[0].sha256 if history.roots else "",
            releases=len(releases),
            figures=tuple(self._figures),
            samples=runs.num_samples,
            regraded=runs.num_regraded,
            withheld=runs.num_withheld,
            programs=self._describe_programs(releases),
        )

    def _add(self, subject: str, name: str, difference: str = "", *, skipped: str = "") -> None:
        state: FigureState = "differs" if difference else "not recomputed" if skipped else "reproduced"
        self._figures.append(RecheckedFigure(subject=subject, name=name, state=state, detail=difference or skipped))

    def _read_history(self) -> MetadataHistory:
        prefix = "metadata/"
        names = sorted(name.removeprefix(prefix) for name in self._export.names if name.startswith(prefix))
        return read_history(names, lambda name: self._export.read(f"{prefix}{name}", max_bytes=MAX_METADATA_BYTES))

    def _read_log(self, kept: list[AuditEntry], hashes: dict[int, str]) -> Iterator[AuditEntry]:
        """The entries one by one; those that later checks look at are kept, and of the others the hash."""
        for value in self._export.lines("audit.jsonl"):
            entry = _entry_from_json(value)
            hashes[entry.sequence] = entry.hash
            if entry.action in CHECKED_ACTIONS or entry.action == CANARY_STOP:
                kept.append(entry)
            yield entry

    def _check_log(self, log: LogIndex, history: MetadataHistory, releases: list[Release], gates: list[GateRecord]) -> None:
        """What must be in the log is in it: as `yearling audit verify` checks on the installation itself."""
        with Store.open(Settings(data_dir=self._scratch / "incidents")) as store:
            self._load_table(store, "incidents")
            self._load_table(store, "incident_checks")
            incidents = check_incidents(log, store.incidents.list(), store.incidents.checks())
        lifted = history.versions[-1].state.lifted if history.versions else ()
        signatures = check_signatures(log, history) if history.versions or log.all("release.publish") else []
        checks: dict[str, list[AuditFault]] = {
            "releases": check_releases(log, releases),
            "gates": check_gates(log, gates),
            "incidents": incidents,
            "signatures": [fault for fault in signatures if fault.check == "signatures"],
            "keys": [fault for fault in signatures if fault.check == "keys"],
            "stops": check_stops(log, None, lifted),
        }
        for name, faults in checks.items():
            self._add("log", name, faults[0].sentence if faults else "")

    def _load(self, store: Store, run_ids: set[str] | None) -> None:
        """Fill a store with the rows of the export, or with those of some runs and the incidents that they test."""
        keys: Mapping[AuditTableName, str] = {"exam_runs": "id", "spec_runs": "id", "spec_outputs": "run_id"}
        for table, key in keys.items():
            self._load_table(store, table, key, run_ids)
        tested: set[str] = set()
        for row in self._export.lines("exam_runs.jsonl"):
            if run_ids is None or row["id"] in run_ids:
                samples = list(self._export.lines(f"exam_samples/{row['id']}.jsonl"))
                tested |= {sample["case_key"] for sample in samples} if row["exam"] == INCIDENT_EXAM else set()
                load_audit_rows(store.database, "exam_samples", samples)
        self._load_table(store, "incidents", "id", None if run_ids is None else tested)
        if run_ids is None:
            self._load_table(store, "incident_checks")

    def _load_table(self, store: Store, table: AuditTableName, key: str = "", wanted: Collection[str] | None = None) -> None:
        """Insert the rows of a table, or those whose column `key` has a wanted value."""
        rows = self._export.lines(f"{table}.jsonl")
        load_audit_rows(store.database, table, (readable_row(row) for row in rows if wanted is None or row[key] in wanted))

    def _check_consensus(self, releases: Iterable[Release]) -> None:
        """Replay the publication, every run of it, and look for the snapshots that releases name."""
        named = {release.consensus: release.number for release in releases if release.consensus}
        if "consensus.jsonl" not in self._export.names:
            for snapshot, number in named.items():
                missing = f"It rests on the snapshot {snapshot}, and the export has no consensus."
                self._add(f"release {number}", "consensus", missing)
            return
        self._on_status("Repeating the consensus")
        path = self._export.folder / "consensus.jsonl"
        report: ReplayReport = replay_publication(path, every_run=True, on_status=self._on_status)
        only_other_code = bool(report.differences) and report.runs_of_other_code > 0 and report.runs_checked == 0
        first = report.differences[0] if report.differences else ""
        if only_other_code:
            self._add("consensus", "runs", skipped=first)
        else:
            self._add("consensus", "runs", first)
        with path.open("rb") as file:
            header = json.loads(file.readline())
        runs = {run["snapshot"] for run in header["runs"]}
        for snapshot, number in named.items():
            missing = "" if snapshot in runs else f"No run of the consensus has the snapshot {snapshot}."
            self._add(f"release {number}", "consensus", missing or ("" if only_other_code else first))

    def _signed_decisions(self, history: MetadataHistory, gates: Mapping[str, GateRecord]) -> list[GateRecord]:
        """The gate decisions that signed states name."""
        names = {decision.gate for version in history.versions for decision in version.state.decisions.values() if decision.gate}
        return [gates[name] for name in sorted(names & gates.keys())]

    def _check_gate(self, gate: GateRecord, history: MetadataHistory, scratch: Path) -> None:
        """Compute the evidence of a gate again from the stored answers, and decide again. `scratch` is a new folder."""
        subject = f"gate {gate.id}"
        rules = _find_rules(history, str(gate.body.get("rules_sha256", "")))
        if rules is None:
            self._add(subject, "decision", skipped="Its rules are not in the export: nobody signed them.")
            return
        self._on_status(f"Deciding gate {gate.id} again")
        with Store.open(Settings(data_dir=scratch)) as store:
            self._load(store, evidence_runs([gate]))
            evidence, taken = recompute_evidence(store, rules, gate)
        try:
            replay_gate(rules, gate)
        except Untrusted as error:
            difference = _verdict_difference(gate, decide(rules, evidence))
            self._add(subject, "decision", difference or error.message)
        else:
            self._add(subject, "decision")
        stored: Any = gate.body["evidence"]
        for rule_id, found in evidence.by_rule.items():
            recorded = {name: value for name, value in stored[rule_id].items() if name != "type"}
            if rule_id in taken:
                self._add(subject, f"evidence for {rule_id}", skipped=f"Taken as recorded, because {taken[rule_id]}.")
            else:
                self._add(subject, f"evidence for {rule_id}", find_difference(recorded, asdict(found)))

    def _check_releases(self, history: MetadataHistory, releases: Iterable[Release], gates: Mapping[str, GateRecord]) -> None:
        """The record of each release is the signed one, and the decision that it was promoted by is the recorded one."""
        newest = history.versions[-1] if history.versions else None
        records = history.release_records(newest) if newest else {}
        decisions: dict[int, ReleaseDecision] = dict(newest.state.decisions) if newest else {}
        lessons = {row["hash"]: row for row in self._export.lines("lesson_sets.jsonl")}
        for release in releases:
            subject = f"release {release.number}"
            if release.number not in records:
                self._add(subject, "record", skipped="Nobody signed it.")
            else:
                is_same = records[release.number] == release_bytes(release)
                self._add(subject, "record", "" if is_same else "The signed record is another one than that of the database.")
            if release.lesson_set:
                self._add(subject, "lessons", _lesson_difference(release, lessons.get(release.lesson_set)))
            if decision := decisions.get(release.number):
                self._check_decision(subject, decision, gates)

    def _check_decision(self, subject: str, decision: ReleaseDecision, gates: Mapping[str, GateRecord]) -> None:
        if not decision.gate:
            self._add(subject, "decision", "" if decision.override else "It was promoted without a gate and without an override.")
            return
        gate = gates.get(decision.gate)
        if gate is None:
            self._add(subject, "decision", f"The gate {decision.gate} is not in the export.")
        elif gate_record_sha256(gate) != decision.gate_sha256 or gate.decision != decision.decision:
            self._add(subject, "decision", f"The gate {decision.gate} is not the one that was signed.")
        elif gate.decision != "ALLOW" and gate.body.get("overridable") is False:
            self._add(subject, "decision", f"The gate said {gate.decision} because of a limit that nobody can override.")
        elif gate.decision != "ALLOW" and not decision.override:
            self._add(subject, "decision", f"The gate said {gate.decision}, and nobody signed an override.")
        else:
            self._add(subject, "decision")

    def _describe_programs(self, releases: Iterable[Release]) -> tuple[str, ...]:
        """Which other programs made the releases; and the one that wrote the export, if something differs and it is another."""
        value = self._export.manifest.get("program")
        facts = value if isinstance(value, Mapping) else {}
        sentences = [describe_program(release.program_version, facts) for release in releases]
        if any(figure.state == "differs" for figure in self._figures):
            sentences.append(describe_exporter(facts))
        return tuple(dict.fromkeys(filter(None, sentences)))


def _verdict_difference(gate: GateRecord, verdict: GateVerdict) -> str:
    """Where the recorded verdict first differs from the one that the stored answers give."""
    findings: Any = gate.body["findings"]
    recorded = {finding["rule"]: {name: finding[name] for name in ("decision", "why")} for finding in findings}
    computed = {finding.rule: {"decision": finding.decision, "why": finding.why} for finding in verdict.findings}
    return find_difference({"decision": gate.decision, **recorded}, {"decision": verdict.decision, **computed})


def _lesson_difference(release: Release, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return f"The lesson set {release.lesson_set} is not in the export."
    consensus = (row["manifest"].get("consensus") or {}).get("snapshot", "")
    if release.consensus and consensus != release.consensus:
        return f"The lesson set rests on the snapshot {consensus}, and the release names {release.consensus}."
    num_train = sum(source["part"] == "train" for source in row["sources"])
    listed = sum(row["manifest"]["counts"]["train"].values())
    return "" if num_train == listed else f"The lesson set lists {listed} lessons, but {num_train} have sources."


def _find_rules(history: MetadataHistory, sha256: str) -> GateRules | None:
    """The rules with this hash among those that were ever signed and those that Yearling brings."""
    texts = [text for version in history.versions if (text := history.rules(version)) is not None]
    for text in dict.fromkeys([*texts, default_rules_text()]):
        try:
            rules = parse_rules(text)
        except UserError:
            continue
        if rules.sha256 == sha256:
            return rules
    return None


def _entry_from_json(value: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(**{**value, "created_utc": datetime.fromisoformat(value["created_utc"])})


def _gate_from_row(row: Mapping[str, Any]) -> GateRecord:
    created = datetime.fromisoformat(row["created_utc"])
    return GateRecord(**{**row, "created_utc": created, "body": json.loads(row["body"])})
