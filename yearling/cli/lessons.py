"""`yearling lessons`: build, list, show and compare lesson sets.

A lesson set is frozen training data made from judgements that people agree on, with a held-out part for exams.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.exam_execution import print_missing_exams
from yearling.cli.lesson_environments import environments
from yearling.cli.options import AS_JSON, DATA_DIR, DATASETS_DIR
from yearling.cli.text_arguments import parse_count
from yearling.config import load_settings
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.store import LessonSetRecord, Store
    from yearling.tasks import Lesson, LessonSet, LessonSetBuild, LessonSetDiff

app = typer.Typer(help="Build and inspect lesson sets: frozen training data made from judgements.", no_args_is_help=True)

app.command("environments")(environments)

_MAX_SHOWN_CHARS = 300


@app.command("build")
def build(
    environment: list[str] | None = typer.Option(
        None, "--environment", "-e", help="Tasks to add from an environment, as NAME=COUNT; can be given several times."
    ),
    data: Path | None = DATASETS_DIR,
    heldout_share: float = typer.Option(0.1, "--heldout-share", help="Share of the lessons to hold out for exams, 0 to 0.5."),
    update_consensus: bool = typer.Option(
        False, "--update-consensus", help="Run the consensus first, if anybody judged since its newest run."
    ),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Build a lesson set from the newest consensus run, and report what was included, what was dropped and why."""
    from yearling.evals import fingerprint_exams
    from yearling.feedback import EventIndex, run_and_record
    from yearling.store import Store
    from yearling.tasks import BuildConfig
    from yearling.tasks import build_lesson_set as build_set

    config = BuildConfig(
        heldout_share=heldout_share, environments=tuple(parse_environment_count(text) for text in environment or ())
    )
    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store, err.status("Reading the exams") as status_display:
        if update_consensus:
            run_and_record(store, EventIndex(store), on_status=status_display.update)
        exams, missing = fingerprint_exams(settings.data_dir / "exams", data)
        result = build_set(store, config, exams=exams, on_progress=status_display.update)
    if as_json:
        lesson_set, manifest = result.lesson_set, result.lesson_set.manifest
        print_json(
            {"hash": lesson_set.hash, "version": lesson_set.version, "fresh": result.is_new, "report": result.report}
            | {
                "consensus": manifest["consensus"],
                "exams": manifest["exams"],
                "exams_missing": missing,
                "folder": str(lesson_set.folder),
            }
        )
        return
    _print_build(result, missing)


@app.command("list")
def list_sets(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the lesson sets, the oldest first."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        records, current = store.lesson_sets.list(), store.lesson_sets.get_current()
        has_files = {record.hash: _files_exist(store, record) for record in records}
    if as_json:
        facts = ("hash", "version", "created_utc", "counts", "consensus", "previous")
        print_json(
            [
                {name: record.manifest.get(name) for name in facts}
                | {"current": record == current, "files": has_files[record.hash]}
                for record in records
            ]
        )
        return
    if not records:
        err.print("There is no lesson set yet. Build one with `yearling lessons build`.")
        return
    rows = [
        (
            record.version,
            record.hash[:12],
            f"{record.created_utc:%Y-%m-%d %H:%M}",
            _describe_counts(record.manifest["counts"]["train"]),
            sum(record.manifest["counts"]["heldout"].values()),
            record.manifest["consensus"]["run"],
            "; ".join(([] if has_files[record.hash] else ["files missing"]) + (["current"] if record == current else [])),
        )
        for record in records
    ]
    print_table(("Version>", "Hash", "Built (UTC)", "For training", "Held out>", "Consensus run>", "State"), rows)


@app.command("show")
def show(
    name: str | None = typer.Argument(None, help="Lesson set: a version or the beginning of a hash; default: the current set."),
    limit: int = typer.Option(5, "--limit", min=0, help="Number of lessons of each kind to show at most."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show a lesson set: its origin, its counts, and some of its lessons. Held-out lessons are not shown."""
    from yearling.store import Store
    from yearling.tasks import lesson_as_dict, open_lesson_set

    with Store.open(load_settings(data_dir=data_dir)) as store:
        lessons = open_lesson_set(store, name)
    shown = _first_of_each_kind(lessons, limit)
    if as_json:
        print_json({**lessons.manifest, "report": lessons.report(), "lessons": [lesson_as_dict(lesson) for lesson in shown]})
        return
    _print_origin(lessons)
    _print_counts(lessons.report())
    for lesson in shown:
        out.print("")
        _print_lesson(lesson)


@app.command("diff")
def diff(
    before: str | None = typer.Argument(
        None, help="Older lesson set: a version or the beginning of a hash; default: the one before AFTER."
    ),
    after: str | None = typer.Argument(
        None, help="Newer lesson set: a version or the beginning of a hash; default: the current set."
    ),
    limit: int = typer.Option(10, "--limit", min=0, help="Number of lessons to show at most for each kind of change."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Compare two lesson sets: added lessons, removed lessons, and lessons whose label or weight changed."""
    from yearling.store import Store
    from yearling.tasks import diff_lesson_sets, open_lesson_set

    with Store.open(load_settings(data_dir=data_dir)) as store:
        new = open_lesson_set(store, after)
        old = open_lesson_set(store, before or _previous_set_hash(store, new))
        sources = [store.lesson_sets.list_sources(lesson_set.hash) for lesson_set in (old, new)]
        result = diff_lesson_sets(old, new, *sources)
    if as_json:
        print_json({"before": old.hash, "after": new.hash, **_diff_dict(result)})
        return
    _print_diff(old, new, result, limit)


def parse_environment_count(text: str) -> tuple[str, int]:
    name, equals, count = text.rpartition("=")
    number = parse_count(count)
    if not equals or not name or not number:
        raise BadInput(f"{text!r} is not an environment with a number of tasks.", advice="Use NAME=COUNT.", param="environment")
    return name, number


def _files_exist(store: Store, record: LessonSetRecord) -> bool:
    from yearling.tasks import lessons_dir

    return (lessons_dir(store) / record.hash).is_dir()


def _previous_set_hash(store: Store, lessons: LessonSet) -> str:
    """The set that this one names as its predecessor, else the newest other one. Raises BadInput if there is none."""
    others = [record for record in store.lesson_sets.list() if record.hash != lessons.hash]
    previous_hash = lessons.manifest.get("previous")
    previous = next((record for record in others if record.hash == previous_hash), others[-1] if others else None)
    if previous is None:
        raise BadInput("There is only one lesson set.", advice="Build another one, or name two.")
    return previous.hash


def _first_of_each_kind(lessons: LessonSet, limit: int) -> list[Lesson]:
    counts: dict[str, int] = {}
    selected = []
    for lesson in lessons.lessons():
        counts[lesson.kind] = counts.get(lesson.kind, 0) + 1
        if counts[lesson.kind] <= limit:
            selected.append(lesson)
    return selected


def _describe_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()) or "nothing"


def _print_build(build_result: LessonSetBuild, missing: dict[str, str]) -> None:
    report = build_result.report
    _print_counts(report)
    for lesson_set_hash, reasons in report["taken_back"].items():
        counts = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in reasons.items())
        err.print(f"Set {lesson_set_hash[:12]} contains judgements that no longer count: {counts}.", highlight=False)
    print_missing_exams(missing)
    lesson_set = build_result.lesson_set
    outcome = "Built" if build_result.is_new else "Nothing changed: this is"
    out.print(f"{outcome} version {lesson_set.version}, {lesson_set.hash}", highlight=False, soft_wrap=True)
    out.print(f"in {lesson_set.folder}", highlight=False, soft_wrap=True)


def _print_origin(lessons: LessonSet) -> None:
    consensus = lessons.manifest["consensus"]
    out.print(f"Lesson set {lessons.version}, {lessons.hash}", highlight=False, soft_wrap=True)
    origin = f"From consensus run {consensus['run']} over {consensus['up_to']} events, snapshot {consensus['snapshot']}"
    out.print(origin, highlight=False, soft_wrap=True)


def _print_counts(report: dict[str, Any]) -> None:
    judgements, lessons, split = report["judgements"], report["lessons"], report["split"]
    rows: list[tuple[str, str, int]] = [("judgements", "included", judgements["kept"])]
    rows += [("judgements", f"dropped: {reason.replace('_', ' ')}", count) for reason, count in judgements["dropped"].items()]
    for kind in lessons["made"]:
        rows.append((f"{kind}s", "for training", lessons["train"].get(kind, 0)))
        rows.append((f"{kind}s", "held out", lessons["heldout"].get(kind, 0)))
        dropped = lessons["dropped"].get(kind, {})
        rows += [(f"{kind}s", f"dropped: {reason.replace('_', ' ')}", count) for reason, count in dropped.items()]
    print_table(("Kind", "Result", "Number>"), rows)
    num_lessons = sum(lessons["train"].values()) + sum(lessons["heldout"].values())
    people = "1 person" if judgements["voices"] == 1 else f"{judgements['voices']} people"
    summary = f"Of {judgements['num_seen']} judgements by {people}, {judgements['kept']} are in {num_lessons} lessons."
    out.print(summary, highlight=False)
    if edited := report.get("edited_by_author"):
        out.print(f"Lessons from words that their author edited: {len(edited)}.", highlight=False)
    if report["q"]:
        histogram = ", ".join(f"{count} pairs from {span}" for span, count in report["q"].items())
        out.print(f"Consensus probability q of the pairs: {histogram}.", highlight=False, soft_wrap=True)
    if "by" in split:
        reason = f" ({split['why']})" if split["why"] else ""
        out.print(f"Split by {split['by']}{reason}: {split['groups']} groups.", highlight=False, soft_wrap=True)


def _print_lesson(lesson: Lesson) -> None:
    from yearling.tasks import lesson_as_dict

    facts = lesson_as_dict(lesson)
    numbers = ", ".join(f"{name} {facts[name]:.2f}" for name in ("q", "weight") if name in facts)
    thumb = {True: "good", False: "bad"}[bool(facts["up"])] if "up" in facts else ""
    heading = " ".join(part for part in (lesson.kind, lesson.key[:12], thumb, numbers, str(facts.get("environment", ""))) if part)
    out.print(heading, style="bold", markup=False, highlight=False)
    question = lesson.messages[-1].get("content") if lesson.messages else ""
    for label, content in (("question", question), *((name, facts.get(name)) for name in ("answer", "first", "second"))):
        if content:
            text = " ".join(str(content).split())
            text = text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]} …"
            out.print(f"  {label}: {text}", markup=False, highlight=False, soft_wrap=True)


def _diff_dict(diff_result: LessonSetDiff) -> dict[str, object]:
    from yearling.tasks import lesson_as_dict

    return {
        "came": [lesson_as_dict(lesson) for lesson in diff_result.added],
        "went": [lesson_as_dict(lesson) for lesson in diff_result.removed],
        "changed": [asdict(change) | {"lesson": lesson_as_dict(change.lesson)} for change in diff_result.changed],
        "moved": [{"key": key, "before": before, "after": after} for key, before, after in diff_result.moved_parts],
        "unchanged": diff_result.num_unchanged,
        "heldout_came": diff_result.num_heldout_added,
        "heldout_went": diff_result.num_heldout_removed,
    }


def _print_diff(old: LessonSet, new: LessonSet, diff_result: LessonSetDiff, limit: int) -> None:
    out.print(f"From version {old.version} ({old.hash[:12]}) to version {new.version} ({new.hash[:12]}):", highlight=False)
    rows = [
        ("added", len(diff_result.added)),
        ("removed", len(diff_result.removed)),
        ("label or weight changed", len(diff_result.changed)),
        ("unchanged", diff_result.num_unchanged),
        ("moved between training and held-out part", len(diff_result.moved_parts)),
        ("added to the held-out part", diff_result.num_heldout_added),
        ("removed from the held-out part", diff_result.num_heldout_removed),
    ]
    print_table(("Lessons", "Number>"), rows)
    for title, lessons in (("Added", diff_result.added), ("Removed", diff_result.removed)):
        for lesson in lessons[:limit]:
            out.print(f"{title}:", style="bold")
            _print_lesson(lesson)
    for change in diff_result.changed[:limit]:
        (q_before, weight_before), (q_after, weight_after) = change.before, change.after
        out.print(
            f"Changed: {change.lesson.kind} {change.lesson.key[:12]}, q {q_before:.2f} to {q_after:.2f}, "
            f"weight {weight_before:.2f} to {weight_after:.2f}",
            highlight=False,
            soft_wrap=True,
        )
