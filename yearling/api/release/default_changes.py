"""Makes another model the champion because its owner chose it, or proposes that where several people decide."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.api.release.drafts import draft_release
from yearling.config import Settings
from yearling.loop import prepare_promotion
from yearling.release import Change, PendingChange, ReleaseAuthority, ReleaseState, store_draft
from yearling.store import Release, Store

CHOSEN_IN_SETTINGS = "chosen in the settings"
CHOSEN_BY_OWNER = "chosen by its owner without proof"
"""Reasons for which a release is used without proof. The signed state records them for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultChange:
    """What became of the choice of another default model. `pending` is the proposal that waits for `num_missing` signatures."""

    model: str
    """The model that answers requests that name none, from now on."""
    release: int | None = None
    pending: str | None = None
    num_missing: int = 0


def signs_alone(state: ReleaseState, person_id: str) -> bool:
    """Whether one person decides here, with a key that is stored without a passphrase."""
    if len(state.holders) != 1:
        return False
    (holder,) = state.holders
    return holder.person_id == person_id and holder.is_stored and not holder.is_protected


def propose_default(
    authority: ReleaseAuthority, store: Store, settings: Settings, *, name: str, endpoint_url: str, actor: str, reason: str
) -> PendingChange:
    """Propose a model as the champion. Where `actor` decides alone, the change is in force on return.

    A model that was released with the same content is not released twice. Hashes files and blocks on the disk. Raises what
    `draft_release` and `ReleaseAuthority.propose` raise, and Conflict if the gate found a fault that nobody can override.
    """
    state = authority.state()
    draft = draft_release(settings, store, name, created_by=actor, endpoint_url=endpoint_url, parent=state.champion)
    return authority.propose(_promotion(store, state, store_draft(store, draft, state), reason, actor), actor=actor)


def _promotion(store: Store, state: ReleaseState, release: Release, reason: str, actor: str) -> Change:
    """The change that makes a release the champion: a rollback if it was the champion before."""
    if release.number in state.champions:
        return Change(kind="rollback", release=release.number, reason=reason)
    return prepare_promotion(store, release, state, actor=actor, override=reason, reason=reason)
