"""`yearling release`: list, propose, sign, promote, roll back, stop and resume releases. Works with or without a running server.

A running server follows a change within a second, because it looks at the signed files before it answers.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.cli.releases.common import (
    FROM_STDIN,
    REASON,
    OpenReleases,
    change_dict,
    choose_signing_key,
    describe_change,
    only_pending,
    open_releases,
    print_change,
    propose,
    read_passphrase,
    sign_with_key,
    start_releases,
    who_decides,
)
from yearling.cli.releases.draft_lookup import find_draft
from yearling.cli.releases.keys import app as key_app
from yearling.cli.releases.pin import pin
from yearling.errors import BadInput, Conflict, Untrusted
from yearling.files.reading import open_regular_file

if TYPE_CHECKING:
    from yearling.release import ReleaseState
    from yearling.store import Release

app = typer.Typer(
    help="Decide which model answers: promote releases, go back, stop models, and manage the key-holders who sign.",
    no_args_is_help=True,
)
app.add_typer(key_app, name="key")
app.command("pin")(pin)

NAME = typer.Argument(
    help="Number of a release; or what becomes one: an installed model, an adapter, a training run, or ENDPOINT/MODEL."
)
TITLE = typer.Option("", "--title", help="What was changed, in a few words; default: how many lessons it learnt.")


class ProposedStage(StrEnum):
    """What a release is proposed as."""

    CANARY = "canary"
    CHAMPION = "champion"


@app.command("list")
def list_releases(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List all releases with their stages, and say what is wrong with the signatures, if anything is."""
    with open_releases(data_dir) as opened:
        state = opened.authority.state() if opened.authority.exists() else None
        releases = opened.store.releases.list()
        if as_json:
            print_json(_list_dict(opened, state, releases))
            return
        if state is None:
            err.print("No release is signed yet. Start the server once, or run `yearling release init`.", highlight=False)
        else:
            cells = [_list_cells(state, release) for release in releases]
            print_table(("Release>", "Stage", "What changed", "Model", "Created (UTC)"), cells)
            err.print(f"Version {state.version}; {who_decides(state)}.", highlight=False)
            _print_pending_hint(opened)
        for notice in opened.authority.stops.notices():
            err.print(f"Stopped ({notice.id}): {notice.sentence}", style="red", **_PLAIN)
        if state is not None and state.problem:
            err.print(state.problem, style="yellow", **_PLAIN)


@app.command("show")
def show(
    number: int = typer.Argument(min=0, help="Number of the release."), data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON
) -> None:
    """Show a release: its files, where its weights come from, and on what grounds it was promoted."""
    from yearling.release import release_name

    with open_releases(data_dir) as opened:
        release = opened.store.releases.get(number)
        state = opened.authority.state() if opened.authority.exists() else None
        facts = _release_dict(state, release)
    if as_json:
        print_json(facts)
        return
    out.print(release_name(release), highlight=False, markup=False)
    _print_facts({label: facts[key] for key, label in _LABELS.items()})
    print_table(("File", "SHA-256", "Bytes>"), [(file.path, file.sha256, f"{file.size_bytes:,}") for file in release.files])


@app.command("init")
def init(
    anew: bool = typer.Option(
        False,
        "--anew",
        help="Start with new keys although what several key-holders signed is lost; the audit log shows it.",
    ),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Make the keys, and sign the configured default model as the first release. The server does this on its first start."""
    with open_releases(data_dir) as opened:
        if opened.authority.exists():
            raise Conflict("Releases are signed here already.", advice="List them with `yearling release list`.")
        start_releases(opened, anew=anew)


@app.command("propose")
def propose_release(
    name: str = NAME,
    stage: ProposedStage = typer.Option(ProposedStage.CANARY, "--as", help="What it becomes once it is signed."),
    title: str = TITLE,
    reason: str = REASON,
    without_proof: str = typer.Option("", "--without-proof", help="Reason to make it the champion although it is not proven."),
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Propose a release, by default for the canary. Key-holders sign it; one person who decides alone signs at once."""
    if stage is ProposedStage.CHAMPION:
        promote(name, without_proof, title, reason, from_stdin, data_dir, as_json)
        return
    from yearling.release import Change

    with open_releases(data_dir, sign_first=True) as opened:
        release = _find_release(opened, name, title)
        pending = propose(opened, Change(kind="start_canary", release=release.number, reason=reason), from_stdin=from_stdin)
        print_change(opened, pending, as_json)


@app.command("promote")
def promote(
    name: str = NAME,
    without_proof: str = typer.Option(
        "", "--without-proof", help="Reason to use it although no gate allowed it. The reason is signed and stays visible."
    ),
    title: str = TITLE,
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Make a release the champion, which answers every request that names no model. A gate has to allow it."""
    from yearling.loop import prepare_promotion

    with open_releases(data_dir, sign_first=True) as opened:
        release = _find_release(opened, name, title)
        state = opened.authority.state()
        change = prepare_promotion(opened.store, release, state, actor=opened.owner.id, override=without_proof, reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("rollback")
def rollback(
    number: int | None = typer.Argument(None, min=0, help="Earlier champion to go back to; default: the one before."),
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Go back to an earlier champion. This publishes a new version that names the old files."""
    from yearling.release import Change

    with open_releases(data_dir, sign_first=True) as opened:
        change = Change(kind="rollback", release=number, reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("end-canary")
def end_canary(
    reason: str = REASON, from_stdin: bool = FROM_STDIN, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON
) -> None:
    """Take the challenger out of the canary. It stays signed and can be proposed again."""
    from yearling.release import Change

    with open_releases(data_dir, sign_first=True) as opened:
        change = Change(kind="end_canary", release=opened.authority.state().challenger, reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("withdraw")
def withdraw(
    number: int = typer.Argument(min=0, help="Number of the release."),
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Withdraw a release for ever. Its weights are no longer loaded, not even by name."""
    from yearling.release import Change

    with open_releases(data_dir, sign_first=True) as opened:
        change = Change(kind="withdraw", release=number, reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("rules")
def rules(
    file: Path = typer.Argument(help="TOML file of the new rules."),
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Propose new rules of the gate. Decisions that were made by other rules no longer count."""
    from yearling.release import Change

    try:
        with open_regular_file(file) as opened_file:
            text = opened_file.read(MAX_RULES_FILE_BYTES).decode()
    except UnicodeDecodeError:
        raise BadInput(f"{file} is no text in UTF-8.", advice="Name a TOML file of rules.", param="file") from None
    with open_releases(data_dir, sign_first=True) as opened:
        print_change(opened, propose(opened, Change(kind="rules", rules=text, reason=reason), from_stdin=from_stdin), as_json)


@app.command("sign")
def sign(
    change: str | None = typer.Argument(None, help="Id of a pending change; default: the only one."),
    name: str | None = typer.Option(None, "--as", help="Person whose key on this machine signs; default: the only one that can."),
    key: Path | None = typer.Option(None, "--key", help="Key file that `release key new --out` wrote, instead of a stored key."),
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Sign a pending change. The last signature that it needs puts it in force."""
    with open_releases(data_dir) as opened:
        pending = only_pending(opened, change)
        err.print(f"Signing: {describe_change(opened, pending.change)}.", **_PLAIN)
        if key is not None:
            passphrase = read_passphrase(from_stdin)
            signed = opened.authority.sign_with_key_file(pending.id, key, passphrase=passphrase)
        else:
            signed = sign_with_key(opened, pending.id, choose_signing_key(opened, pending, name), from_stdin=from_stdin)
        print_change(opened, signed, as_json)


@app.command("pending")
def list_pending(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Show the change that waits for signatures."""
    with open_releases(data_dir) as opened:
        rows = [change_dict(opened, pending) for pending in opened.authority.pending()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        err.print("No change waits for signatures.")
        return
    for row in rows:
        signers = ", ".join(signer["name"] or signer["key"][:12] for signer in row["signed_by"])
        out.print(row["what"], **_PLAIN)
        lines = {
            "Id": row["id"],
            "Reason": row["reason"],
            "Without proof": row["override"],
            "Signatures": f"{len(row['signed_by'])} of {row['threshold']}" + (f" ({signers})" if signers else ""),
        }
        _print_facts(lines)


@app.command("cancel")
def cancel(
    change: str | None = typer.Argument(None, help="Id of a pending change; default: the only one."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Drop a pending change."""
    with open_releases(data_dir) as opened:
        change_id = change if change is not None and len(change) == _ID_LENGTH else only_pending(opened, change).id
        opened.authority.cancel(change_id, actor=opened.owner.id)
    err.print("The change is cancelled.")


@app.command("stop")
def stop(
    model: str | None = typer.Argument(None, help="Name of the model, as requests name it; default: every model."),
    reason: str = REASON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Stop a model, or all of them, at once and in the middle of answers. Only signatures lift a stop."""
    with open_releases(data_dir) as opened:
        notice = opened.authority.stop(model, actor=opened.owner.id, reason=reason)
        is_known = notice.model is None or _is_known_model(opened, notice.model)
    if as_json:
        print_json({"id": notice.id, "model": notice.model, "reason": notice.reason, "created_utc": notice.created_utc})
        return
    what = f"The model {notice.model}" if notice.model else "Every model"
    if not is_known:
        err.print(
            f"No model of the name {notice.model} is installed or released here, so this stops nothing that answers now, "
            "unless an endpoint serves it. `yearling release stop` stops everything.",
            style="yellow",
            **_PLAIN,
        )
    err.print(f"{what} is stopped. Resume with `yearling release resume {notice.id}`.", **_PLAIN)


@app.command("resume")
def resume(
    stop_id: str | None = typer.Argument(None, help="Id of a stop; default: all stops that are in force."),
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Lift a stop. As many key-holders as for any release have to sign it."""
    from yearling.release import Change

    with open_releases(data_dir, sign_first=True) as opened:
        stops = [notice.id for notice in opened.authority.stops.notices()] if stop_id is None else [stop_id]
        if not stops:
            raise Conflict("Nothing is stopped.", advice="`yearling release list` shows the stops.")
        change = Change(kind="resume", stop_id=" ".join(stops), reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("renew")
def renew(from_stdin: bool = FROM_STDIN, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Renew signatures that expire, and write damaged files anew from the copy that was verified before.

    The server's own signatures are renewed at once. Those of the key-holders, which last a year, are proposed for renewal in the
    last 60 days and after.
    """
    from yearling.release import Change

    with open_releases(data_dir) as opened:
        opened.authority.renew_online(is_forced=True)
        if not opened.authority.needs_holders():
            state = opened.authority.state()
            soonest = min(state.expires["root"], state.expires["targets"])
            if as_json:
                print_json({role: expires.isoformat() for role, expires in state.expires.items()})
                return
            err.print(f"Renewed. The signatures of the key-holders are valid until {soonest:%d %B %Y}.", highlight=False)
            return
        print_change(opened, propose(opened, Change(kind="renew"), from_stdin=from_stdin), as_json)


_ID_LENGTH = 36
MAX_RULES_FILE_BYTES = 1_000_000
_LABELS = {
    "stage": "Stage",
    "model": "Model",
    "kind": "Kind",
    "endpoint": "Endpoint",
    "base_model": "Base model",
    "model_hash": "Hash of the weights",
    "run": "Training run",
    "lessons": "Lessons",
    "lesson_set": "Lesson set",
    "consensus": "Consensus snapshot",
    "parent": "Champion before",
    "decision": "Decision of the gate",
    "gate": "Record of the gate",
    "without_proof": "Used without proof",
    "created_utc": "Created",
    "program_version": "Version of Yearling",
}
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "soft_wrap": True}


def _print_facts(facts: dict[str, Any]) -> None:
    for label, value in facts.items():
        if value not in ("", None):
            out.print(f"  {label + ':':<24}{value}", **_PLAIN)


def _find_release(opened: OpenReleases, name: str, title: str) -> Release:
    """The release of that number, or one of the model of that name, stored now unless it was before."""
    from yearling.release import store_draft

    if name.isascii() and name.isdecimal():
        return opened.store.releases.get(int(name))
    state = opened.authority.state()
    draft = find_draft(opened.settings, opened.store, name, created_by=opened.owner.id, title=title, parent=state.champion)
    return store_draft(opened.store, draft, state)


def _is_known_model(opened: OpenReleases, name: str) -> bool:
    """Whether a release, an installed model or an adapter on one has this name."""
    from yearling.models import AdapterLibrary, ModelLibrary

    installed = ModelLibrary(opened.settings.models_dir).names()
    adapters = AdapterLibrary(opened.settings.adapters_dir).list()
    served = {adapter.served_name(base) for adapter in adapters for base in installed}
    return name in {*installed, *served, *(release.model for release in opened.store.releases.list())}


def _print_pending_hint(opened: OpenReleases) -> None:
    try:
        waiting = opened.authority.pending()
    except Untrusted as error:
        err.print(str(error), style="yellow", **_PLAIN)
        return
    for pending in waiting:
        text = describe_change(opened, pending.change)
        signatures = f"{len(pending.signed_by)} of {pending.threshold} signatures"
        err.print(f"Pending ({pending.id}): {text}; {signatures}.", **_PLAIN)


def _list_cells(state: ReleaseState, release: Release) -> tuple[object, ...]:
    marks = []
    if (decision := state.decisions.get(release.number)) and decision.override:
        marks.append("without proof")
    if release.kind == "endpoint":
        marks.append("cannot be verified")
    stage = state.stage(release.number)
    title = f"{release.title} ({', '.join(marks)})" if marks else release.title
    return release.number, stage, title, release.model, f"{release.created_utc:%Y-%m-%d %H:%M}"


def _list_dict(opened: OpenReleases, state: ReleaseState | None, releases: list[Release]) -> dict[str, Any]:
    stops = opened.authority.stops.notices()
    return {
        "version": state.version if state else None,
        "champion": state.champion if state else None,
        "challenger": state.challenger if state else None,
        "problem": state.problem if state else "",
        "threshold": state.threshold if state else None,
        "expires": {role: expires.isoformat() for role, expires in state.expires.items()} if state else {},
        "stops": [{"id": notice.id, "model": notice.model, "reason": notice.reason} for notice in stops],
        "releases": [_release_dict(state, release) for release in releases],
    }


def _release_dict(state: ReleaseState | None, release: Release) -> dict[str, Any]:
    from yearling.release import release_name

    decision = state.decisions.get(release.number) if state else None
    return {
        "number": release.number,
        "name": release_name(release),
        "stage": state.stage(release.number) if state else "draft",
        "kind": release.kind,
        "model": release.model,
        "model_hash": release.model_hash,
        "endpoint": release.endpoint_url,
        "base_model": release.base_model,
        "run": release.run_id,
        "lesson_set": release.lesson_set,
        "lessons": release.num_lessons or None,
        "consensus": release.consensus,
        "parent": release.parent,
        "created_utc": release.created_utc.isoformat(),
        "program_version": release.program_version,
        "decision": decision.decision if decision else "",
        "gate": decision.gate if decision else "",
        "without_proof": decision.override if decision else "",
        "files": [{"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes} for file in release.files],
    }
