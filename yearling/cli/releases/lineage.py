"""`yearling lineage`: which judgements a model learnt from, and which models learnt from a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_count, out, print_json
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.config import Settings, load_settings
from yearling.errors import BadInput, NotFound, Untrusted

if TYPE_CHECKING:
    from yearling.loop import LineageRelease, ModelLineage, NextLessonSet, PersonLineage, StageOf, TracedModel
    from yearling.store import Store

_MAX_LISTED = 20


def lineage(
    model: str | None = typer.Argument(
        None, help="Name of an installed model, or of an adapter (`MODEL+DIGITS`, or the beginning of its hash)."
    ),
    person: str | None = typer.Option(None, "--person", help="Name of a person: list the models that learnt from them."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show where a model comes from (judgements, lessons, runs, exams, releases), or which models learnt from a person.

    Judgements that were withdrawn since are counted, and released models that still carry them are named."""
    from yearling.loop import trace_model, trace_person
    from yearling.store import Store

    if (model is None) == (person is None):
        raise BadInput(
            "Name either a model or, with `--person`, a person.", advice="For example `yearling lineage --person Ada`."
        )
    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store:
        models, stage_of = _traced_models(settings, store), read_stages(settings, store)
        if model is not None:
            _print_model(trace_model(store, _find_model(models, model), stage_of=stage_of), as_json=as_json)
        else:
            named = store.people.get_by_name(str(person))
            _print_person(trace_person(store, named.id, models, stage_of=stage_of), named.name, as_json=as_json)


def read_stages(settings: Settings, store: Store) -> StageOf | None:
    """The stage of each release in the signed metadata, or None if nothing is signed here or it cannot be verified."""
    from yearling.release import ReleaseAuthority

    authority = ReleaseAuthority(settings.data_dir / "release", store)
    if not authority.exists():
        return None
    try:
        return authority.state().stage
    except Untrusted as error:
        err.print(error.message, style="yellow", markup=False, highlight=False, soft_wrap=True)
        return None


def _traced_models(settings: Settings, store: Store) -> list[TracedModel]:
    from yearling.loop import list_traced_models
    from yearling.models import AdapterLibrary, ModelLibrary

    adapters = AdapterLibrary(settings.adapters_dir)
    return list_traced_models(ModelLibrary(settings.models_dir).list(), adapters.list(), adapters.get, store.runs)


def _find_model(models: Iterable[TracedModel], name: str) -> TracedModel:
    """The model with this name, or the only one whose hash begins so."""
    candidates = list(models)
    exact = [model for model in candidates if model.name == name]
    digits = name.rpartition("+")[2].lower()
    matches = exact or [model for model in candidates if len(digits) >= 4 and model.hashes[0].startswith(digits)]
    if len(matches) != 1:
        raise NotFound(
            f"{'Several models match' if matches else 'There is no model or adapter'} {name[:100]!r}.",
            advice="`yearling model list` and `yearling model adapters` show them.",
            param="model",
        )
    return matches[0]


def _print_model(found: ModelLineage, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    people = len({judgement.actor for judgement in found.judgements})
    judgements, raters = format_count(len(found.judgements), "judgement"), format_count(people, "person", "people")
    _say(f"{found.model} learnt from {judgements} by {raters}.")
    for source in found.merged_from:
        adapter = f"adapter {source.adapter[:12]}" if source.adapter else "no adapter"
        log = f"public log of {format_count(source.log_entries, 'entry', 'entries')}, head {source.log_head[:12] or 'none'}"
        _say(f"Merged from {source.name} (installation {source.installation}): {adapter}, {log}.")
        if source.judgements:
            listed = ", ".join(source.judgements[:_MAX_LISTED])
            more = f" and {len(source.judgements) - _MAX_LISTED:,} more" if len(source.judgements) > _MAX_LISTED else ""
            _say(f"It learnt from {format_count(len(source.judgements), 'judgement')} there: {listed}{more}.")
    for lesson_set in found.lesson_sets:
        consensus = f"consensus run {lesson_set.consensus_run}" if lesson_set.consensus_run else "an unknown consensus run"
        lessons = format_count(lesson_set.num_lessons, "lesson")
        _say(f"Lesson set {lesson_set.version} ({lesson_set.hash[:12]}): {lessons}, from {consensus}.")
    for run in found.runs:
        _say(f"Run {run.id}: {run.method} on {run.base_model}, step {run.step}.")
    for exam in found.exams[-_MAX_LISTED:]:
        _say(f"Exam {exam.exam} as {exam.subject}: {'no score' if exam.score is None else f'{exam.score:.3f}'} ({exam.id}).")
    for gate in found.gates[-_MAX_LISTED:]:
        _say(f"Gate of {gate.created_utc:%Y-%m-%d}: {gate.decision} ({gate.id}).")
    _print_releases(found.releases)
    _print_withdrawn(found.withdrawn, found.releases, found.next_lesson_set)
    _print_unknown(found.unknown)


def _print_person(found: PersonLineage, name: str, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    _say(f"{name} made {format_count(found.num_judgements, 'judgement')}. Models that learnt from them: {len(found.models)}.")
    for model in found.models:
        about = f", and {format_count(model.num_about_answers, 'judgement')} of their answers" if model.num_about_answers else ""
        runs = ", ".join(model.runs) or "unknown"
        _say(f"{model.model}: {format_count(model.num_judgements, 'judgement')} of theirs{about}; runs {runs}.")
        _print_releases(model.releases)
        _print_withdrawn(model.withdrawn, model.releases, found.next_lesson_set)
    _print_unknown(found.unknown)


def _print_releases(releases: Iterable[LineageRelease]) -> None:
    for release in releases:
        served = ", served now" if release.is_served else ""
        _say(f"Release {release.number} ({release.title}): {release.stage or 'its signed state cannot be read'}{served}.")


def _print_withdrawn(withdrawn: Mapping[str, int], releases: Iterable[LineageRelease], next_set: NextLessonSet) -> None:
    if not withdrawn:
        return
    reasons = ", ".join(f"{reason} ({count})" for reason, count in withdrawn.items())
    _say(f"Judgements that count no more: {sum(withdrawn.values())}: {reasons}.")
    carriers = [f"Release {release.number}" for release in releases]
    _say(f"Released with them all the same: {', '.join(carriers)}." if carriers else "No release carries them.")
    if next_set.withdrawn_in_it:
        _say(f"Lesson set {next_set.version} still has {next_set.withdrawn_in_it} of them; the next one is without them.")
    elif next_set.version is not None:
        _say(f"Lesson set {next_set.version}, which is trained on next, is without them.")


def _print_unknown(unknown: Iterable[str]) -> None:
    for sentence in unknown:
        err.print(f"Unknown: {sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _say(sentence: str) -> None:
    out.print(sentence, markup=False, highlight=False, soft_wrap=True)
