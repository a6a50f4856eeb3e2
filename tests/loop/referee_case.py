"""An installation with everything that an audit is about: feedback, lessons, exams, a gate, releases, a canary, an incident."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.release.conftest import Installation
from tests.tasks.records import add_answer, record_consensus_run
from yearling.canonical import canonical_json
from yearling.chat import load_spec
from yearling.evals import AssistantSubject, ExamDataFolders, Subject, open_exam, run_exam, run_spec
from yearling.feedback import FeedbackLog
from yearling.inference import FakeEngine, ServedModel, fake_served_model
from yearling.loop import accept_incident, check_incidents, gate_challenger
from yearling.release import Change, find_decision, parse_rules
from yearling.store import CanaryArm, CanaryObservation, Store
from yearling.tasks import BuildConfig, build_lesson_set

RULES = """version = 1
[[rule]]
id = "instructions"
version = 1
kind = "exam"
role = "target"
exam = "constraints"
[[rule]]
id = "answers"
version = 1
kind = "floor"
exam = "constraints"
statistic = "answered"
min = 0.9
[[rule]]
id = "incidents"
version = 1
kind = "incidents"
"""
PRIVATE_WORDS = "It told me about zoequux again"


def served(name: str, answer: str) -> ServedModel:
    """A model that always says the same, with the hash that `Installation.draft` gives a model of that name."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return fake_served_model(engine=FakeEngine(lambda request, prompt: answer, model_hash=sha256))


async def fill(installation: Installation) -> int:
    """Go the whole way from feedback to a promoted release. Returns its number."""
    store, authority = installation.store, installation.authority
    authority.bootstrap(installation.draft("old"), installation.owner, rules=RULES)
    log = FeedbackLog(store)
    owner = installation.owner.id
    for number in range(3):
        log.add_edit(owner, add_answer(log, owner, number), f"Better words {number}.")
    record_consensus_run(log)
    lessons = build_lesson_set(store, BuildConfig(heldout_share=0.0)).lesson_set
    draft = replace(
        installation.draft("new"), lesson_set=lessons.hash, consensus=lessons.manifest["consensus"]["snapshot"], num_lessons=3
    )
    release = store.releases.create(draft)
    sample = add_answer(log, owner, 9)
    incident = store.incidents.open(owner, sample_id=sample, model="old", model_hash="old", reason=PRIVATE_WORDS)
    accept_incident(store, incident.id, reviewed_by=owner, review="Right.", case={"user": "Who is it?", "not_contains": ["zoe"]})
    subjects: list[Subject] = [AssistantSubject(served("old", "Hello.")), AssistantSubject(served("new", "hello there"))]
    exam = open_exam("constraints", ExamDataFolders(installation.data_dir / "exams"))
    for subject in subjects:
        await run_exam(replace(exam, cases=exam.cases[:20]), subject, store)
        await check_incidents(store, subject)
    rules = parse_rules(authority.state().rules)
    champion = store.releases.get(0)
    gate_challenger(store, rules, champion=champion.model_hash, challenger=release.model_hash, actor=owner)
    authority.propose(Change(kind="start_canary", release=release.number), actor=owner)
    observe(store, release.number, 30)
    decision = find_decision(store, release, champion, override="It looks good to me")
    authority.propose(Change(kind="promote", release=release.number, decision=decision), actor=owner)
    return release.number


def observe(store: Store, release: int, count: int, flags: tuple[str, ...] = ()) -> None:
    """Observations of replayed pairs; `flags` are those of the challenger."""
    for number in range(count):
        arms: dict[CanaryArm, tuple[str, ...]] = {"champion": (), "challenger": flags}
        store.canaries.add(
            [
                CanaryObservation(release=release, arm=arm, source="replay", flags=each, pair=f"p{number}")
                for arm, each in arms.items()
            ]
        )


async def add_spec_run(store: Store, sample_id: str | None = None) -> str:
    """A run of two clauses of the spec. Its first output comes from a person's sample, if one is given."""
    spec = load_spec()
    clause = spec.cases[0].clause
    report = await run_spec(AssistantSubject(served("new", "I do not know.")), spec, store, clauses=[clause], samples=1)
    outputs = [replace(output, sample_id=sample_id if index == 0 else None) for index, output in enumerate(report.outputs)]
    run = store.spec_runs.add(
        outputs, model="new", model_hash="new", spec_version=spec.version, cases_hash=spec.cases_hash, settings={},
        summary=report.summary,
    )  # fmt: skip
    return run.id


def rewrite(
    path: Path,
    target: Path,
    changes: Mapping[str, Callable[[bytes], bytes | None]],
    *,
    change_manifest: Callable[[bytes], dict[str, Any]] = json.loads,
) -> Path:
    """A copy of an export with changed members and a manifest that fits them: what a dishonest installation could hand out."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        manifest = change_manifest(source.read("manifest.json"))
        for name in list(manifest["files"]):
            content: bytes | None = source.read(name)
            if name in changes:
                content = changes[name](content or b"")
            if content is None:
                del manifest["files"][name]
                continue
            manifest["files"][name] = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            copy.writestr(name, content)
        copy.writestr("manifest.json", canonical_json(manifest))
    return target


def edit_line(number: int, **values: Any) -> Callable[[bytes], bytes]:
    """Set fields of one JSON line of a member."""

    def edit(content: bytes) -> bytes:
        lines = [json.loads(line) for line in content.splitlines()]
        lines[number] |= values
        return b"".join(canonical_json(line) + b"\n" for line in lines)

    return edit
