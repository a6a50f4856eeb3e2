"""`yearling lessons`: what a model can learn from what people said, frozen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.lesson_environments import environments
from yearling.config import load_settings
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.store import LessonSetRecord, Store
    from yearling.tasks import Lesson, LessonSet, LessonSetBuild, LessonSetDiff

app = typer.Typer(help="What can be learnt from what people said, as frozen sets.", no_args_is_help=True)

app.command("environments")(environments)

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where the data lives.")

_MAX_SHOWN_CHARS = 300


@app.command("build")
def build(
    environment: list[str] | None = typer.Option(
        None, "--environment", "-e", help="Add tasks that an environment generates, as NAME=COUNT. Can be given several times."
    ),
    data: Path | None = typer.Option(None, "--data", help="Folder with the data sets of exams that no package index has."),
    heldout_share: float = typer.Option(0.1, "--heldout-share", help="How much to keep for exams, from 0 to 0.5."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Build the set of what stands now, from the newest consensus run, and say what was kept, what was dropped and why."""
    from yearling.evals import fingerprint_exams
    from yearling.store import Store
    from yearling.tasks import BuildConfig
    from yearling.tasks import build_lesson_set as build_set

    config = BuildConfig(
        heldout_share=heldout_share, environments=tuple(_parse_environment_count(one) for one in environment or ())
    )
    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store, err.status("Reading the exams") as shown:
        exams, missing = fingerprint_exams(settings.data_dir / "exams", data)
        built = build_set(store, config, exams=exams, on_progress=shown.update)
    if as_json:
        manifest = built.lesson_set.manifest
        print_json(
            {"hash": built.lesson_set.hash, "version": built.lesson_set.version, "fresh": built.is_new, "report": built.report}
            | {
                "consensus": manifest["consensus"],
                "exams": manifest["exams"],
                "exams_missing": missing,
                "folder": str(built.lesson_set.folder),
            }
        )
        return
    _print_build(built, missing)


@app.command("list")
def list_sets(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the sets that were built, oldest first."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        records, current = store.lesson_sets.list(), store.lesson_sets.get_current()
        there = {record.hash: _files_exist(store, record) for record in records}
    if as_json:
        facts = ("hash", "version", "created_utc", "counts", "consensus", "previous")
        print_json(
            [
                {name: record.manifest.get(name) for name in facts} | {"current": record == current, "files": there[record.hash]}
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
            "; ".join(([] if there[record.hash] else ["files are gone"]) + (["current"] if record == current else [])),
        )
        for record in records
    ]
    print_table(("Version>", "Hash", "Built (UTC)", "To learn from", "Held out>", "Consensus run>", ""), rows)


@app.command("show")
def show(
    name: str | None = typer.Argument(None, help="A version or the beginning of a hash; by default the current set."),
    limit: int = typer.Option(5, "--limit", min=0, help="Show at most so many lessons of each kind."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show a set: where it comes from, what is in it, some of its lessons. Held-out lessons are for exams and are not shown."""
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
    before: str | None = typer.Argument(None, help="A version or the beginning of a hash; by default the set before `after`."),
    after: str | None = typer.Argument(None, help="The same; by default the current set."),
    limit: int = typer.Option(10, "--limit", min=0, help="Show at most so many lessons of each sort of change."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Say what changed between two sets: what came, what went, what is judged otherwise."""
    from yearling.store import Store
    from yearling.tasks import diff_lesson_sets, open_lesson_set

    with Store.open(load_settings(data_dir=data_dir)) as store:
        new = open_lesson_set(store, after)
        old = open_lesson_set(store, before or _previous_set_hash(store, new))
        found = diff_lesson_sets(old, new, store.lesson_sets.list_sources(old.hash), store.lesson_sets.list_sources(new.hash))
    if as_json:
        print_json({"before": old.hash, "after": new.hash, **_diff_dict(found)})
        return
    _print_diff(old, new, found, limit)


def _parse_environment_count(text: str) -> tuple[str, int]:
    name, equals, count = text.rpartition("=")
    if not equals or not name or not count.isdigit() or int(count) < 1:
        raise BadInput(f"{text!r} is no environment with a number of tasks.", advice="Write NAME=COUNT.", param="environment")
    return name, int(count)


def _files_exist(store: Store, record: LessonSetRecord) -> bool:
    from yearling.tasks import lessons_dir

    return (lessons_dir(store) / record.hash).is_dir()


def _previous_set_hash(store: Store, lessons: LessonSet) -> str:
    earlier = [record for record in store.lesson_sets.list() if record.hash != lessons.hash]
    named = lessons.manifest.get("previous")
    found = next((record for record in earlier if record.hash == named), earlier[-1] if earlier else None)
    if found is None:
        raise BadInput("There is only one lesson set.", advice="Build another one, or name two.")
    return found.hash


def _first_of_each_kind(lessons: LessonSet, limit: int) -> list[Lesson]:
    counts: dict[str, int] = {}
    found = []
    for lesson in lessons.lessons():
        counts[lesson.kind] = counts.get(lesson.kind, 0) + 1
        if counts[lesson.kind] <= limit:
            found.append(lesson)
    return found


def _describe_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()) or "nothing"


def _print_build(build_result: LessonSetBuild, missing: dict[str, str]) -> None:
    report = build_result.report
    _print_counts(report)
    for exam_hash, reasons in report["taken_back"].items():
        told = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in reasons.items())
        err.print(f"Set {exam_hash[:12]} still carries what counts no longer: {told}.", highlight=False)
    if missing:
        told = "; ".join(f"{exam} ({why})" for exam, why in missing.items())
        err.print(f"Not searched for what these exams ask, since they are not here: {told}.", highlight=False, soft_wrap=True)
    news = "Built" if build_result.is_new else "Nothing changed: this is"
    out.print(
        f"{news} version {build_result.lesson_set.version}, {build_result.lesson_set.hash}", highlight=False, soft_wrap=True
    )
    out.print(f"in {build_result.lesson_set.folder}", highlight=False, soft_wrap=True)


def _print_origin(lessons: LessonSet) -> None:
    consensus = lessons.manifest["consensus"]
    out.print(f"Lesson set {lessons.version}, {lessons.hash}", highlight=False, soft_wrap=True)
    told = f"From consensus run {consensus['run']} over {consensus['up_to']} events, snapshot {consensus['snapshot']}"
    out.print(told, highlight=False, soft_wrap=True)


def _print_counts(report: dict[str, Any]) -> None:
    judgements, lessons, split = report["judgements"], report["lessons"], report["split"]
    rows: list[tuple[str, str, int]] = [("judgements", "kept", judgements["kept"])]
    rows += [("judgements", f"dropped: {reason.replace('_', ' ')}", count) for reason, count in judgements["dropped"].items()]
    for kind in lessons["made"]:
        rows.append((f"{kind}s", "to learn from", lessons["train"].get(kind, 0)))
        rows.append((f"{kind}s", "held out", lessons["heldout"].get(kind, 0)))
        dropped = lessons["dropped"].get(kind, {})
        rows += [(f"{kind}s", f"dropped: {reason.replace('_', ' ')}", count) for reason, count in dropped.items()]
    print_table(("What", "Result", "Number>"), rows)
    kept = sum(lessons["train"].values()) + sum(lessons["heldout"].values())
    voices = "1 person" if judgements["voices"] == 1 else f"{judgements['voices']} people"
    seen = f"Of {judgements['num_seen']} judgements by {voices}, {judgements['kept']} are in {kept} lessons."
    out.print(seen, highlight=False)
    if report["q"]:
        told = ", ".join(f"{count} pairs from {span}" for span, count in report["q"].items())
        out.print(f"How sure the pairs are (q): {told}.", highlight=False, soft_wrap=True)
    if "by" in split:
        why = f" ({split['why']})" if split["why"] else ""
        out.print(f"Split by {split['by']}{why}: {split['groups']} groups.", highlight=False, soft_wrap=True)


def _print_lesson(lesson: Lesson) -> None:
    from yearling.tasks import lesson_as_dict

    facts = lesson_as_dict(lesson)
    numbers = ", ".join(f"{name} {facts[name]:.2f}" for name in ("q", "weight") if name in facts)
    up = {True: "good", False: "bad"}[bool(facts["up"])] if "up" in facts else ""
    head = " ".join(part for part in (lesson.kind, lesson.key[:12], up, numbers, facts.get("environment", "")) if part)
    out.print(head, style="bold", markup=False, highlight=False)
    asked = lesson.messages[-1].get("content") if lesson.messages else ""
    for label, words in (("asked", asked), *((name, facts.get(name)) for name in ("answer", "first", "second"))):
        if words:
            text = " ".join(str(words).split())
            text = text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]} …"
            out.print(f"  {label}: {text}", markup=False, highlight=False, soft_wrap=True)


def _diff_dict(diff_result: LessonSetDiff) -> dict[str, Any]:
    from yearling.tasks import lesson_as_dict

    return {
        "came": [lesson_as_dict(lesson) for lesson in diff_result.added],
        "went": [lesson_as_dict(lesson) for lesson in diff_result.removed],
        "changed": [asdict(one) | {"lesson": lesson_as_dict(one.lesson)} for one in diff_result.changed],
        "moved": [{"key": key, "before": before, "after": after} for key, before, after in diff_result.moved_parts],
        "unchanged": diff_result.num_unchanged,
        "heldout_came": diff_result.num_heldout_added,
        "heldout_went": diff_result.num_heldout_removed,
    }


def _print_diff(old: LessonSet, new: LessonSet, diff_result: LessonSetDiff, limit: int) -> None:
    out.print(f"From version {old.version} ({old.hash[:12]}) to version {new.version} ({new.hash[:12]}):", highlight=False)
    rows = [
        ("came", len(diff_result.added)),
        ("went", len(diff_result.removed)),
        ("judged otherwise", len(diff_result.changed)),
        ("unchanged", diff_result.num_unchanged),
        ("changed sides", len(diff_result.moved_parts)),
        ("came, held out", diff_result.num_heldout_added),
        ("went, held out", diff_result.num_heldout_removed),
    ]
    print_table(("Lessons", "Number>"), rows)
    for title, lessons in (("Came", diff_result.added), ("Went", diff_result.removed)):
        for lesson in lessons[:limit]:
            out.print(f"{title}:", style="bold")
            _print_lesson(lesson)
    for one in diff_result.changed[:limit]:
        (q_before, weight_before), (q_after, weight_after) = one.before, one.after
        out.print(
            f"Judged otherwise: {one.lesson.kind} {one.lesson.key[:12]}, q {q_before:.2f} to {q_after:.2f}, "
            f"weight {weight_before:.2f} to {weight_after:.2f}",
            highlight=False,
            soft_wrap=True,
        )
