"""Writes the export for an outside referee: everything that a release rests on, in one file, without anybody's private words.

    audit.jsonl              the audit log, entry by entry
    metadata/...             the repository of signed metadata, with release records and gate rules
    releases.jsonl, gates.jsonl, incidents.jsonl, incident_checks.jsonl, canary_observations.jsonl
    exam_runs.jsonl          the exam runs that recorded gate decisions of released models name
    exam_samples/ID.jsonl    their answers and verdicts; exams/HASH.json: their cases, where they can still be rebuilt
    spec_runs.jsonl, spec_outputs.jsonl
    lesson_sets.jsonl        manifests, and the ids of the judgements behind each lesson
    consensus.jsonl          the publication that `yearling consensus export` writes, if there is a consensus run

Answers to the cases of exams are not private: no person said them. What a person said is withheld unless they offer it to
everybody: the reason of an incident, and an answer that came from a conversation. In its place stands
`{"withheld_sha256": HASH}`, the hash of salt and words; the salt stays here, so nobody can try words.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling import __version__
from yearling.canonical import canonical_json
from yearling.clock import now_utc
from yearling.errors import Conflict, Untrusted
from yearling.feedback import load_latest_run, publication_lines
from yearling.files.atomic import atomic_path
from yearling.files.disk import DiskAdvice, translate_disk_errors
from yearling.files.reading import open_regular_file
from yearling.loop.referee.archive import MAX_EXPORT_BYTES, ExportWriter
from yearling.loop.referee.log_checks import CHECKED_ACTIONS
from yearling.loop.referee.verification import repository_files
from yearling.release import MAX_METADATA_BYTES
from yearling.store import AuditRow, GateRecord, Release, Store, read_audit_rows

if TYPE_CHECKING:
    from yearling.evals import ExamDataFolders

WITHHELD = "withheld_sha256"
SALT_SECRET = "audit words"
MAX_GATES = 10_000
_ENTRIES_AT_ONCE = 5000
_MAX_ATTEMPTS = 3
_ADVICE = DiskAdvice(full="Free some space, or choose another path.", not_writable="Choose another path.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenExport:
    """What an export holds."""

    size_bytes: int
    sha256: str
    entries: int
    """Of the audit log."""
    head: str
    releases: int
    gates: int
    exam_runs: int
    exams_without_cases: int
    """Exams whose cases are not here as they were: their answers can be read, but not graded again."""
    spec_runs: int
    has_consensus: bool
    withheld: int
    """Words that were replaced by their hash."""


def write_audit_export(
    store: Store, folder: Path, path: Path, *, folders: ExamDataFolders | None = None, max_bytes: int = MAX_EXPORT_BYTES
) -> WrittenExport:
    """Write the export of a store and of the signed metadata in `folder` (`data_dir/release`) to a new file.

    `folders` has the data of exams. The file appears once it is complete, and only its owner can read it. Takes a reader of the
    store and changes nothing but one secret, the salt. Raises Conflict if the file exists, BadInput if the export gets larger
    than `max_bytes`, and StorageFailed.
    """
    if path.exists():
        raise Conflict(f"{path} exists already.", advice="Name a new file.")
    for _ in range(_MAX_ATTEMPTS):
        last = store.audit.latest_sequence()
        with translate_disk_errors(path, advice=_ADVICE, all_errors=True), atomic_path(path) as temporary:
            writer = ExportWriter(temporary, max_bytes=max_bytes)
            try:
                facts = _Exporter(store, folder, writer, folders, last).write()
            except BaseException:
                writer.abandon()
                raise
            writer.close({"created_utc": now_utc().isoformat(), "program": _program_facts()})
        if not store.audit.entries(after=last, actions=CHECKED_ACTIONS, limit=1):
            break
        path.unlink()  # somebody released, signed or stopped meanwhile: log and records do not belong together
    else:
        raise Conflict("Releases kept changing while they were exported.", advice="Try again in a moment.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return WrittenExport(size_bytes=path.stat().st_size, sha256=digest, **facts)


def _program_facts() -> dict[str, Any]:
    from yearling.training import describe_code

    return {"version": __version__, "code": describe_code()}


class _Exporter:
    """One export while it is written."""

    def __init__(self, store: Store, folder: Path, writer: ExportWriter, folders: ExamDataFolders | None, last: int) -> None:
        """`last` is the newest entry of the log that belongs into the export."""
        self._store, self._folder, self._writer, self._folders, self._last = store, folder, writer, folders, last
        self._head = ""
        self._salt = store.secrets.get_or_create(SALT_SECRET)
        self._num_withheld = 0

    def write(self) -> dict[str, Any]:
        """Write all members. Returns the fields of `WrittenExport` except size and hash."""
        writer, store = self._writer, self._store
        entries = store.audit.entries()
        num_entries = writer.add_lines(
            "audit.jsonl", ({**asdict(entry), "created_utc": entry.created_utc.isoformat()} for entry in entries)
        )
        self._write_metadata()
        releases = store.releases.list()
        num_releases = writer.add_lines("releases.jsonl", self._rows("releases"))
        gates = store.gates.list(limit=MAX_GATES)
        num_gates = writer.add_lines("gates.jsonl", self._rows("gates"))
        run_ids = evidence_runs(_gates_of_releases(gates, releases))
        num_exams, without_cases = self._write_exams(run_ids)
        num_specs = writer.add_lines("spec_runs.jsonl", self._rows("spec_runs", where="id", values=run_ids))
        writer.add_lines("spec_outputs.jsonl", self._spec_outputs(run_ids))
        writer.add_lines("incidents.jsonl", self._incidents())
        for table in ("incident_checks", "canary_observations"):
            writer.add_lines(f"{table}.jsonl", self._rows(table))
        writer.add_lines("lesson_sets.jsonl", self._lesson_sets({release.lesson_set for release in releases}))
        return {
            "entries": num_entries,
            "head": self._head,
            "releases": num_releases,
            "gates": num_gates,
            "exam_runs": num_exams,
            "exams_without_cases": without_cases,
            "spec_runs": num_specs,
            "has_consensus": self._write_consensus(),
            "withheld": self._num_withheld,
        }

    def _entries(self) -> Iterator[dict[str, object]]:
        """The log up to the last entry of the export, a part of it at a time."""
        after = 0
        while after < self._last:
            entries = self._store.audit.entries(after=after, limit=min(_ENTRIES_AT_ONCE, self._last - after))
            if not entries:
                raise Untrusted("The audit log has a gap.", advice="Run `yearling audit verify`.")
            for entry in entries:
                yield {**asdict(entry), "created_utc": entry.created_utc.isoformat()}
            after, self._head = entries[-1].sequence, entries[-1].hash

    def _rows(self, table: Any, *, where: str = "", values: Collection[str] = ()) -> Iterator[AuditRow]:
        return read_audit_rows(self._store.database, table, where=where, values=values)

    def _write_metadata(self) -> None:
        repository = self._folder / "repository"
        for name in repository_files(repository) if repository.is_dir() else []:
            with open_regular_file(repository / name) as file:
                content = file.read(MAX_METADATA_BYTES + 1)
            if len(content) > MAX_METADATA_BYTES:
                raise Untrusted(f"{repository / name} is too large for a file of signed metadata.", advice="Remove the file.")
            self._writer.add(f"metadata/{name}", [content])

    def _write_exams(self, run_ids: Collection[str]) -> tuple[int, int]:
        """(number of exam runs, number of exams whose cases could not be rebuilt)."""
        from yearling.evals import ExamDataFolders, exam_to_json, rebuild_exam

        folders = self._folders or ExamDataFolders(self._store.settings.data_dir / "exams")
        incidents = self._store.incidents.list(state={"accepted"})
        rows = list(self._rows("exam_runs", where="id", values=run_ids))
        self._writer.add_lines("exam_runs.jsonl", rows)
        seen: dict[str, bool] = {}
        for row in rows:
            self._writer.add_lines(
                f"exam_samples/{row['id']}.jsonl", self._rows("exam_samples", where="run_id", values=[row["id"]])
            )
            if row["exam_hash"] in seen:
                continue
            exam = rebuild_exam(self._store.exams.get(row["id"]), folders, incidents)
            seen[row["exam_hash"]] = exam is not None
            if exam is not None:
                self._writer.add(f"exams/{row['exam_hash']}.json", [canonical_json(exam_to_json(exam))])
        return len(rows), sum(not is_known for is_known in seen.values())

    def _spec_outputs(self, run_ids: Collection[str]) -> Iterator[AuditRow]:
        """Outputs of the spec. One that came from a conversation is withheld unless its owner offers it."""
        rows = list(self._rows("spec_outputs", where="run_id", values=run_ids))
        sample_ids = sorted({row["sample_id"] for row in rows if row["sample_id"]})
        offered = self._offered_samples(sample_ids)
        for row in rows:
            if row["sample_id"] and row["sample_id"] not in offered:
                for name in ("messages", "output_text", "evidence"):
                    row[name] = self._withhold(row["id"], row[name])
            yield row

    def _offered_samples(self, sample_ids: Sequence[str]) -> set[str]:
        """The samples whose words everybody here may read as they are stored: offered, not withdrawn and not edited before."""
        offers = self._store.offers
        owners = {sample.person_id for sample in self._store.samples.get_many(sample_ids).values()}
        live: dict[str, str] = {}
        for owner in owners:
            live |= offers.live_ids_by_sample(sample_ids, person_id=owner)
        records = offers.get_many(sorted(live.values()))
        return {sample_id for sample_id, offer_id in live.items() if not records[offer_id].edited}

    def _incidents(self) -> Iterator[AuditRow]:
        """Incidents without the words of who opened them. The case and the review are the reviewer's."""
        for row in self._rows("incidents"):
            yield {**row, "reason": self._withhold(row["id"], row["reason"]) if row["reason"] else ""}

    def _lesson_sets(self, set_hashes: Collection[str]) -> Iterator[dict[str, Any]]:
        for record in self._store.lesson_sets.list():
            if record.hash in set_hashes:
                sources = [asdict(source) for source in self._store.lesson_sets.list_sources(record.hash)]
                yield {"hash": record.hash, "manifest": record.manifest, "sources": sources}

    def _write_consensus(self) -> bool:
        finished = load_latest_run(self._store)
        if finished is not None:
            self._writer.add("consensus.jsonl", publication_lines(self._store, finished))
        return finished is not None

    def _withhold(self, item: str, words: object) -> dict[str, str]:
        self._num_withheld += 1
        salt = hmac.digest(self._salt, item.encode(), "sha256").hex()
        content = words if isinstance(words, str) else json.dumps(words, sort_keys=True)
        return {WITHHELD: hashlib.sha256(f"{salt}{content}".encode("utf-8", "surrogatepass")).hexdigest()}


def evidence_runs(gates: Iterable[GateRecord]) -> set[str]:
    """The ids of the exam and spec runs that the evidence of gate decisions names."""
    found: set[str] = set()
    for gate in gates:
        evidence = gate.body.get("evidence")
        for each in evidence.values() if isinstance(evidence, Mapping) else ():
            found.update(str(run_id) for run_id in each.get("runs", ()))
        findings = gate.body.get("findings")
        for finding in findings if isinstance(findings, list) else ():
            found.update(str(finding[name]) for name in ("champion_run", "challenger_run") if name in finding)
    return found


def _gates_of_releases(gates: Iterable[GateRecord], releases: Iterable[Release]) -> list[GateRecord]:
    hashes = {release.model_hash for release in releases if release.model_hash}
    return [gate for gate in gates if any(gate.challenger == known or gate.challenger.endswith(f"+{known}") for known in hashes)]
