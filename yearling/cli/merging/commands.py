"""`yearling merge`: give what this installation learnt to another one, and take over what others learnt, behind a proof."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.corrections.common import open_log
from yearling.cli.options import AS_JSON, DATA_DIR, YES
from yearling.config import Settings, load_settings
from yearling.errors import BadInput, Conflict

if TYPE_CHECKING:
    from yearling.evals import Case
    from yearling.loop import InstallationMerge, MergeOutcome, MergeProof, MergeSide
    from yearling.store import CorrectionScope, Store

_MAX_LISTED = 20
_PARTS = {
    "corrections": "its corrections",
    "questions": "its held-back questions",
    "weights": "both, without corrections",
}


class MethodChoice(StrEnum):
    """How adapters are merged."""

    AVERAGE = "average"
    TIES = "ties"
    DARE = "dare"


class MergeGroup(TyperGroup):
    """`yearling merge FOLDER` is `yearling merge run FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before anything that is no command and no request for help."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=MergeGroup, help="Merge what several installations learnt, if a proof shows that each keeps it.", no_args_is_help=True
)

ACTING_PERSON = typer.Option(None, "--as", help="Name or id of the person whose corrections are merged; default: the owner.")
ADAPTER_NAME = typer.Option(
    "", "--adapter", help="Adapter to merge, by its served name or hash; default: that of the released model, if it has one."
)
NAME = typer.Option("", "--name", help="What people call this installation; default: a part of its id.")
QUESTIONS = typer.Option(
    None,
    "--questions",
    help="Exam file (YAML) with held-back questions: what this side was taught, in words that nothing was trained on.",
    exists=True,
)


@app.command("export")
def export(
    folder: Path = typer.Argument(help="New folder to write, for the other installation."),
    own: bool = typer.Option(False, "--own", help="Include your own corrections, not only those that the team has accepted."),
    name: str = NAME,
    adapter: str = ADAPTER_NAME,
    questions: Path | None = QUESTIONS,
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Write what another installation needs to know what this one knows: corrections, adapter, and public log.

    The public log has the judgements without names and texts. Corrections are readable: they are what the other side gets."""
    from yearling.loop import write_merge_folder

    settings = load_settings(data_dir=data_dir)
    scopes: tuple[CorrectionScope, ...] = ("me", "team") if own else ("team",)
    with open_log(data_dir, acting_person) as (log, person_id):
        side = _own_side(settings, log.store, person_id, name, adapter, questions, scopes)
        if not side.entries and side.adapter_file is None:
            raise BadInput(
                "There is nothing to export: the team has accepted no corrections, and no adapter is released.",
                advice="Add your own corrections with `--own`.",
            )
        with err.status("Writing the folder"):
            written = write_merge_folder(log.store, folder, side, actor=person_id)
    if as_json:
        print_json(_side_dict(written) | {"path": str(folder)})
        return
    out.print(f"Wrote {folder}: {_describe_side(written)}.", highlight=False, markup=False, soft_wrap=True)
    out.print(f"Fingerprint {written.fingerprint}", highlight=False, soft_wrap=True)
    err.print(f"On the other side: yearling merge {folder.name}. It shows the same fingerprint.", highlight=False, soft_wrap=True)


@app.command("run")
def run(
    folders: list[Path] = typer.Argument(help="Folders that `yearling merge export` wrote on other installations."),
    plan: bool = typer.Option(False, "--plan", help="Print the plan and do nothing."),
    yes: bool = YES,
    method: MethodChoice = typer.Option(
        MethodChoice.AVERAGE,
        "--method",
        help="How adapters are merged: average; ties, where they disagree on a sign the stronger side wins; dare, random parts.",
    ),
    share: float = typer.Option(0.5, "--share", help="Weight of each adapter: with two, 0.5 is the mean and 1 the sum."),
    corrections_only: bool = typer.Option(False, "--corrections-only", help="Leave the adapters of the others out."),
    name: str = NAME,
    adapter: str = ADAPTER_NAME,
    questions: Path | None = QUESTIONS,
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Take over what other installations learnt. The word `run` may be left out.

    Corrections of all sides become one memory, of two answers to one question the later one; adapters are merged. Then every
    side's questions are asked, before and after, and questions about what the model knew before. Unless the proof holds, nothing
    changes, and the exit code is 1."""
    from yearling.loop import MAX_FOLDERS, MergeOptions, installation_id, plan_merge, read_merge_folder, run_merge
    from yearling.training import ArtefactStores

    settings = load_settings(data_dir=data_dir)
    if len(folders) > MAX_FOLDERS:
        raise BadInput(f"A merge takes up to {MAX_FOLDERS} folders.", advice="Merge some of them first.")
    stores = ArtefactStores.from_data_dir(settings.data_dir)
    from yearling.cli.merging.tools import LocalMergeTools, scratch_stores

    with (
        open_log(data_dir, acting_person) as (log, person_id),
        _merge_lock(settings, log.store, stores),
        scratch_stores(settings) as (scratch, scratch_dir),
    ):
        own = _own_side(settings, log.store, person_id, name, adapter, questions, ("me", "team"))
        own_id = installation_id(log.store)
        others = [
            read_merge_folder(folder, scratch_dir / f"side-{number}", own_installation=own_id)
            for number, folder in enumerate(folders)
        ]
        options = MergeOptions(
            model=own.base, person_id=person_id, method=method.value, share=share, corrections_only=corrections_only
        )
        merge = plan_merge(log.store, own, others, options)
        if as_json and plan:
            print_json(_plan_dict(merge))
        elif not as_json:
            _print_plan(merge, settings)
        if plan:
            return
        if not yes:
            typer.confirm("Merge?", abort=True, err=True)
        tools = LocalMergeTools(settings, log.store, scratch_dir, own.base)
        try:
            with err.status("Merging") as status:
                outcome = run_merge(
                    log,
                    stores,
                    scratch,
                    merge,
                    tools,
                    settings.data_dir,
                    progress=lambda done, total: status.update(f"Asking before and after: {done} of {total}"),
                )
        finally:
            tools.close()
    _print_outcome(merge, outcome, as_json=as_json)
    raise typer.Exit(0 if outcome.proof.ok else 1)


@contextmanager
def _merge_lock(settings: Settings, store: Store, stores: Any) -> Iterator[None]:
    """One merge at a time. What an interrupted one left is completed or taken back first."""
    from yearling.files.folders import remove_leftovers
    from yearling.files.locks import LockHeldError, exclusive_lock
    from yearling.files.sync import make_directory
    from yearling.loop import finish_interrupted_merge, merges_dir

    folder = merges_dir(settings.data_dir)
    make_directory(folder)
    try:
        with exclusive_lock(folder / "lock", timeout_s=0.0):
            remove_leftovers(folder)
            if done := finish_interrupted_merge(store, stores, folder):
                err.print(done, style="yellow", highlight=False, soft_wrap=True)
            yield
    except LockHeldError:
        raise Conflict("Another merge is running here.", advice="Wait until it has ended.") from None


def _own_side(
    settings: Settings,
    store: Store,
    person_id: str,
    name: str,
    adapter: str,
    questions: Path | None,
    scopes: tuple[CorrectionScope, ...],
) -> MergeSide:
    from yearling.cli.assistant_runtime import ReleasedModels
    from yearling.loop import describe_own_side, list_traced_models
    from yearling.models import AdapterLibrary, ModelLibrary
    from yearling.release import ReleaseAuthority

    authority = ReleaseAuthority(settings.data_dir / "release", store)
    champion = ReleasedModels(authority.state() if authority.exists() else None).champion or settings.model
    library, adapters = ModelLibrary(settings.models_dir), AdapterLibrary(settings.adapters_dir)
    local = library.get(champion.partition("+")[0])
    wanted = adapter or (champion if "+" in champion else "")
    published = adapters.verify(adapters.get(wanted).sha256) if wanted else None
    if published is not None and (published.purpose != "model" or not published.fits(local)):
        raise BadInput(f"{wanted} is no adapter with knowledge on {local.name}.", param="adapter")
    traced = None
    if published is not None:
        models = list_traced_models(library.list(), adapters.list(), adapters.get, store.runs)
        traced = next(model for model in models if model.hashes[0] == published.sha256)
    return describe_own_side(
        store,
        person_id,
        name=name,
        base=local.name,
        base_sha256=local.sha256,
        scopes=scopes,
        traced=traced,
        adapter_file=published.weights if published is not None else None,
        questions=_read_questions(settings, questions),
    )


def _read_questions(settings: Settings, path: Path | None) -> tuple[Case, ...]:
    from yearling.cli.exam_execution import resolve_exam

    return resolve_exam(str(path), settings, None).cases if path is not None else ()


def _describe_side(side: MergeSide) -> str:
    parts = [f"{side.name} (installation {side.source.installation})", f"{len(side.entries):,} corrections"]
    if side.questions:
        parts.append(f"{len(side.questions):,} held-back questions")
    parts.append(f"adapter {side.source.adapter[:12]} on {side.base}" if side.source.adapter else "no adapter")
    parts.append(f"{side.source.log_entries:,} entries in its public log")
    return ", ".join(parts)


def _print_plan(merge: InstallationMerge, settings: Settings) -> None:
    own, *others = merge.sides
    _say(f"Here: {_describe_side(own)}.")
    for side in others:
        _say(f"From: {_describe_side(side)}.")
        _say(f"  Fingerprint {side.fingerprint}. Compare it with what the export showed.")
    entries = merge.entries
    _say(f"{len(entries.new):,} corrections are new here.")
    for found in entries.contradictions[:_MAX_LISTED]:
        _say(f"Two answers to {found.question!r}: kept the later one of {found.kept_from}: {found.kept!r}.")
        _say(f"  Dropped, of {found.dropped_from}: {found.dropped!r}.")
    if len(entries.contradictions) > _MAX_LISTED:
        _say(f"{len(entries.contradictions) - _MAX_LISTED:,} more questions have two answers; --plan --json lists them all.")
    if entries.switched_off:
        _say(f"{len(entries.switched_off):,} corrections of others stay off: you switched them off here.")
    adapters = [side for side in merge.sides if side.source.adapter]
    if merge.options.corrections_only:
        _say("Adapters of others are left out.")
    elif len({side.source.adapter for side in adapters}) > 1:
        _say(f"{len(adapters)} adapters are merged: {merge.options.method}, each with the share {merge.options.share:g}.")
    elif adapters:
        _say(f"Only {adapters[0].name} has an adapter; it is tested as it is.")
    else:
        _say("No side has an adapter: the weights stay as they are.")
    from yearling.models import ModelLibrary

    if all(model.name != settings.embedding_model for model in ModelLibrary(settings.models_dir).list()):
        _say(f"Without {settings.embedding_model}, corrections are found by the same words only; the proof is made so too.")


def _print_outcome(merge: InstallationMerge, outcome: MergeOutcome, *, as_json: bool) -> None:
    from yearling.loop import proof_to_json

    proof = outcome.proof
    served = f"{merge.options.model}+{outcome.adapter[:12]}" if outcome.adapter else ""
    if as_json:
        values = {"ok": proof.ok, "merge": outcome.id, "model": served, "new_corrections": outcome.num_new}
        print_json(_plan_dict(merge) | values | {"proof": proof_to_json(proof), "objections": list(proof.objections)})
        return
    _print_proof(merge, proof)
    if not proof.ok:
        for objection in proof.objections:
            err.print(objection, style="red", markup=False, highlight=False, soft_wrap=True)
        for part in proof.parts:
            for question in part.lost[:_MAX_LISTED]:
                _say(f"Lost by {part.side} ({_PARTS[part.part]}): {question!r}")
        err.print("The merge is refused. Nothing has changed here.", highlight=False)
        if any(part.part == "weights" for part in proof.parts) and not merge.options.corrections_only:
            err.print("The corrections without the adapters: run it again with --corrections-only.", highlight=False)
        return
    _say(f"Merged: {outcome.num_new:,} new corrections hold from the next message on.")
    if served and outcome.adapter != merge.sides[0].source.adapter:
        _say(f"The merged model is {served}. It answers nobody yet: release it like any adapter.")
        _say(f"Where it comes from: yearling lineage {served}")


def _print_proof(merge: InstallationMerge, proof: MergeProof) -> None:
    rows = [
        (
            part.side,
            _PARTS[part.part],
            f"{part.alone} of {part.total}",
            f"{part.kept} of {part.alone}",
            str(len(part.lost)),
            str(part.allowed),
        )
        for part in proof.parts
    ]
    print_table(("Installation", "Asked", "Right alone>", "Kept>", "Lost>", "May be lost>"), rows)
    alone = ", ".join(
        f"{count} with what {side.name} knows" for side, count in zip(merge.sides, proof.controls_alone, strict=True)
    )
    _say(f"What the model knew before, {proof.controls} questions: {alone}; {proof.controls_after} after the merge.")


def _plan_dict(merge: InstallationMerge) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "sides": [_side_dict(side) for side in merge.sides],
        "new": len(merge.entries.new),
        "contradictions": [asdict(found) for found in merge.entries.contradictions],
        "switched_off": len(merge.entries.switched_off),
        "method": merge.options.method,
        "share": merge.options.share,
    }


def _side_dict(side: MergeSide) -> dict[str, Any]:
    return {
        "installation": side.source.installation,
        "name": side.name,
        "corrections": len(side.entries),
        "questions": len(side.questions),
        "adapter": side.source.adapter,
        "base": side.base,
        "log_entries": side.source.log_entries,
        "log_head": side.source.log_head,
        "judgements": len(side.source.judgements),
        "fingerprint": side.fingerprint,
    }


def _say(sentence: str) -> None:
    printable = "".join(character if character.isprintable() else " " for character in sentence)
    out.print(printable, markup=False, highlight=False, soft_wrap=True)
