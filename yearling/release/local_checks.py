"""What can be checked of a change only here, before anybody signs it: gate decisions, files, stops and unprotected keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from yearling.errors import Conflict, NotFound, UserError
from yearling.release.decisions import check_decision
from yearling.release.file_rules import check_files
from yearling.release.gate_rules import parse_rules
from yearling.release.state import Change, KeyHolder, ReleaseState
from yearling.release.stop import StopSwitch
from yearling.store import Release, Store


def check_locally(change: Change, state: ReleaseState, store: Store, data_dir: Path, stops: StopSwitch) -> None:
    """Raises Conflict, NotFound, BadInput or Untrusted for a change that nobody should sign."""
    if change.kind == "resume":
        known = {notice.id for notice in stops.notices()}
        if unknown := [stop for stop in change.stop_ids if stop not in known]:
            raise NotFound(f"There is no stop {unknown[0]}.", advice="`yearling release list` shows the stops.")
    if change.kind == "rules":
        parse_rules(change.rules or "")
    if change.kind in ("promote", "start_canary", "rollback") and change.release is not None:
        release = state.releases.get(change.release) or store.releases.get(change.release)
        check_files(release, data_dir)
        _require_not_stopped(release, stops)
        if change.kind != "rollback":
            champion = None if state.champion is None else state.releases[state.champion]
            check_decision(store, release, champion, change.decision, rules=state.rules)
    others = {key.person_id for key in change.add} - {holder.person_id for holder in state.holders}
    if others and any(holder.is_stored and not holder.is_protected for holder in state.holders):
        raise Conflict(
            "A key on this machine is not protected, so whoever runs the machine could sign for its holder.",
            advice="Run `yearling release key protect` first.",
        )


def stopped_model(model: str | None, read_state: Callable[[], ReleaseState]) -> str | None:
    """The model that a stop is meant for: `champion` and `challenger` stand for the models that they are now.

    Raises NotFound if there is none, or if nobody can tell.
    """
    if model not in ("champion", "challenger"):
        return model
    advice = "Name the model, or stop all: `yearling release stop`."
    try:
        state = read_state()
    except UserError as error:
        raise NotFound(f"Nobody can tell which model is the {model}. {error.message}", advice=advice, param="model") from None
    number = state.champion if model == "champion" else state.challenger
    if number is None:
        raise NotFound(f"No model is the {model} now.", advice=advice, param="model")
    return state.releases[number].model


def _require_not_stopped(release: Release, stops: StopSwitch) -> None:
    """Raises Conflict for a model that is stopped by name: as the champion it would answer nobody."""
    if notice := next((notice for notice in stops.notices() if notice.model == release.model), None):
        raise Conflict(
            f"The model {release.model} is stopped: {notice.reason or 'no reason was given'}.",
            advice=f"Lift the stop first: `yearling release resume {notice.id}`.",
            param="release",
        )


def sole_key(state: ReleaseState, actor: str) -> KeyHolder | None:
    """The key that signs at once: of the one holder, who is the actor, and not encrypted."""
    if len(state.holders) != 1:
        return None
    holder = state.holders[0]
    return holder if holder.is_stored and not holder.is_protected and holder.person_id == actor else None
