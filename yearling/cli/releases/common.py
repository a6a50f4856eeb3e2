"""What the commands about releases share: the open authority, passphrases, and how a proposed change is finished and printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, print_json
from yearling.cli.releases.draft_lookup import find_draft
from yearling.cli.standard_streams import read_piped_text
from yearling.config import Settings, load_settings
from yearling.errors import BadInput, Conflict, NotFound
from yearling.records import Person

if TYPE_CHECKING:
    from yearling.release import Change, PendingChange, ReleaseAuthority, ReleaseState
    from yearling.store import Store

FROM_STDIN = typer.Option(False, "--stdin", help="Read the passphrase from standard input instead of prompting for it.")
REASON = typer.Option("", "--reason", help="Why, in a sentence; it stays in the audit log.")


@dataclass(frozen=True, slots=True)
class OpenReleases:
    """The store and authority of an installation. Whoever can write the data folder acts as its owner."""

    settings: Settings
    store: Store
    authority: ReleaseAuthority
    owner: Person


@contextmanager
def open_releases(data_dir: Path | None, *, sign_first: bool = False) -> Iterator[OpenReleases]:
    """Open the releases. With `sign_first`, an installation without any gets its default model signed as the first release.

    The server's signatures are renewed if they are old, so that a server that was off for weeks is no hindrance.
    """
    from yearling.release import ReleaseAuthority
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store:
        opened = OpenReleases(settings, store, ReleaseAuthority(settings.data_dir / "release", store), store.people.owner())
        if sign_first:
            if not opened.authority.exists():
                start_releases(opened)
            opened.authority.renew_online()
        yield opened


def start_releases(opened: OpenReleases, *, anew: bool = False) -> None:
    """Sign the default model as the first release."""
    from yearling.release import default_rules_text

    model = opened.settings.model
    try:
        draft = find_draft(opened.settings, opened.store, model, created_by="yearling", title="the model of the first start")
    except NotFound as error:
        raise NotFound(
            f"{error.message} The settings name it as the default model, so nothing can be signed yet.",
            advice="Install it; or, if an endpoint serves it, start the server once, which signs it.",
        ) from None
    opened.authority.bootstrap(draft, opened.owner, rules=default_rules_text(), anew=anew)
    err.print(f"The model {draft.model} is signed as the first release.", highlight=False)


def read_passphrase(from_stdin: bool, *, is_new: bool = False, of: str = "") -> str:
    """The passphrase from standard input, or typed at a prompt; a new one is typed twice."""
    if from_stdin:
        typed = sys.stdin.readline() if sys.stdin.isatty() else read_piped_text()
        return typed.partition("\n")[0].removesuffix("\r")
    label = "New passphrase" if is_new else "Passphrase"
    return str(typer.prompt(label + (f" of {of}" if of else ""), hide_input=True, confirmation_prompt=is_new, err=True))


def propose(opened: OpenReleases, change: Change, *, from_stdin: bool = False) -> PendingChange:
    """Propose a change. Where one person decides, it is signed at once, with their passphrase if their key has one."""
    pending = opened.authority.propose(change, actor=opened.owner.id)
    holders = opened.authority.state().holders
    if not pending.is_published and len(holders) == 1 and holders[0].is_stored and holders[0].is_protected:
        return sign_with_key(opened, pending.id, holders[0].key_id, from_stdin=from_stdin)
    return pending


def sign_with_key(opened: OpenReleases, change_id: str, key_id: str, *, from_stdin: bool) -> PendingChange:
    """Sign with a key on this machine, after asking for its passphrase if it has one."""
    stored = opened.authority.keys.get(key_id)
    passphrase = read_passphrase(from_stdin, of=stored.name) if stored.is_protected else ""
    return opened.authority.sign_with_stored_key(change_id, key_id, passphrase=passphrase, actor=stored.person_id)


def choose_signing_key(opened: OpenReleases, pending: PendingChange, name: str | None) -> str:
    """The key on this machine to sign with: of the named person, or the only one that has not signed.

    Raises BadInput if none or several fit.
    """
    state = opened.authority.state()
    votes = {holder.key_id: holder.name for holder in state.holders}
    votes |= {key.key_id: key.name for key in pending.change.add}
    stored = {key.key_id for key in opened.authority.keys.list()}
    fitting = [
        key_id
        for key_id, holder in votes.items()
        if key_id in stored and key_id not in pending.signed_by and (name is None or name in (holder, key_id[: len(name)]))
    ]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(sorted(votes[key_id] for key_id in fitting))
    if fitting:
        raise BadInput(f"Several keys on this machine can sign: {names}.", advice="Name the person with --as.", param="as")
    who = f"of {name!r} " if name else ""
    raise BadInput(
        f"No key {who}on this machine can still sign this change.",
        advice="Sign with --key FILE, or list the keys with `yearling release key list`.",
        param="as",
    )


def only_pending(opened: OpenReleases, change_id: str | None) -> PendingChange:
    """The pending change with this id, or the beginning of it, or the only one. Raises Conflict if there is none."""
    pending = opened.authority.pending()
    if not pending:
        raise Conflict("No change waits for signatures.", advice="Propose one, for example with `yearling release promote NAME`.")
    matches = [change for change in pending if change_id is None or change.id.startswith(change_id)]
    if len(matches) != 1:
        raise BadInput(
            f"{change_id!r} is no pending change.", advice="List them with `yearling release pending`.", param="change"
        )
    return matches[0]


def who_decides(state: ReleaseState) -> str:
    """How many of how many people decide."""
    if len(state.holders) == 1:
        return f"{state.holders[0].name} decides alone"
    return f"{state.threshold} of {len(state.holders)} key-holders decide"


def describe_change(opened: OpenReleases, change: Change) -> str:
    """What a change does, in a few words."""
    from yearling.release import release_name

    name = "" if change.release is None else release_name(opened.store.releases.get(change.release))
    match change.kind:
        case "promote":
            return f"{name} becomes the champion"
        case "start_canary":
            return f"{name} goes into the canary"
        case "end_canary":
            return "The canary ends"
        case "rollback":
            return f"Back to {name}" if name else "Back to the champion before"
        case "withdraw":
            return f"{name} is withdrawn"
        case "rules":
            return "New rules of the gate"
        case "resume":
            return f"{len(change.stop_ids)} {'stop is' if len(change.stop_ids) == 1 else 'stops are'} lifted"
        case "renew":
            return "The signatures of the key-holders are renewed"
        case "keys":
            names = {key.key_id: f" of {key.name}" for key in opened.authority.keys.list()}
            names |= {holder.key_id: f" of {holder.name}" for holder in opened.authority.state().holders}
            added = [f"{key.name} signs with the key {key.key_id[:12]}" for key in change.add]
            revoked = [f"the key {key_id[:12]}{names.get(key_id, '')} is revoked" for key_id in change.revoke]
            threshold = [] if change.threshold is None else [f"the threshold is {change.threshold}"]
            online = ["the server has a new key"] if change.online else []
            text = "; ".join([*added, *revoked, *threshold, *online])
            return text[:1].upper() + text[1:]


def print_change(opened: OpenReleases, pending: PendingChange, as_json: bool) -> None:
    """Print what happened to a change, and what is to be done next."""
    if as_json:
        print_json(change_dict(opened, pending))
        return
    text = describe_change(opened, pending.change)
    if pending.is_published:
        err.print(f"Done: {text}.", highlight=False, markup=False, soft_wrap=True)
        return
    err.print(f"{'Signed' if pending.signed_by else 'Proposed'}: {text}.", highlight=False, markup=False, soft_wrap=True)
    err.print(
        f"It has {len(pending.signed_by)} of {pending.threshold} signatures. Key-holders sign it with "
        f"`yearling release sign {pending.id}`.",
        highlight=False,
        soft_wrap=True,
    )


def change_dict(opened: OpenReleases, pending: PendingChange) -> dict[str, Any]:
    """A change as JSON values."""
    names = {holder.key_id: holder.name for holder in opened.authority.state().holders}
    return {
        "id": pending.id,
        "kind": pending.change.kind,
        "what": describe_change(opened, pending.change),
        "release": pending.change.release,
        "reason": pending.change.reason,
        "override": pending.change.decision.override if pending.change.decision else "",
        "proposed_utc": pending.proposed_utc.isoformat(),
        "proposed_by": pending.proposed_by,
        "signed_by": [{"key": key_id, "name": names.get(key_id, "")} for key_id in pending.signed_by],
        "threshold": pending.threshold,
        "published": pending.is_published,
    }
