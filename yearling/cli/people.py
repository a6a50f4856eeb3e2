"""`yearling people`: who may use this installation, in what role, and by which keys. Works on the data folder, server or not.

A server that runs notices within a second what is changed here, and ends what went on by a right that has gone.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.clock import now_utc
from yearling.config import load_settings
from yearling.errors import BadInput
from yearling.records import KEY_SCOPES, KeyScope, Person

if TYPE_CHECKING:
    from yearling.store import ApiKey, Invitation, Store

app = typer.Typer(help="Who may use this installation, in what role, and by which keys.", no_args_is_help=True)
key_app = typer.Typer(help="API keys of a person.", no_args_is_help=True)
app.add_typer(key_app, name="key")

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where the data lives.")
NAME = typer.Argument(help="The person's name.")


class RoleChoice(StrEnum):
    READER = "reader"
    MEMBER = "member"
    MAINTAINER = "maintainer"
    OWNER = "owner"


class ScopeChoice(StrEnum):
    READ = "read"
    CHAT = "chat"
    FEEDBACK = "feedback"
    ADMIN = "admin"


ROLE = typer.Option(RoleChoice.MEMBER, "--role", help="What the person may do.")
SCOPES = typer.Option(
    [ScopeChoice.READ, ScopeChoice.CHAT], "--scope", help="What it may be used for. Can be given several times."
)


@app.command("list")
def list_people(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List everybody, with how they get in."""
    with _open_store(data_dir) as store:
        rows = [_person_dict(store, person) for person in store.people.list()]
    if as_json:
        print_json(rows)
        return
    cells = [
        (
            row["name"],
            row["role"],
            "closed" if row["closed_utc"] else ", ".join(_sign_in_methods(row)) or "cannot sign in",
            row["sessions"],
            row["keys"],
            row["created_utc"][:16].replace("T", " "),
        )
        for row in rows
    ]
    print_table(("Name", "Role", "Signs in by", "Sessions>", "Keys>", "Since (UTC)"), cells)


@app.command("password")
def password(
    name: str = NAME,
    from_stdin: bool = typer.Option(False, "--stdin", help="Read the password from standard input instead of asking for it."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Give a person a password; all of their sessions end. Once anybody has one, everybody has to sign in."""
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        if from_stdin:
            given = sys.stdin.readline().rstrip("\n")
        else:
            given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        store.passwords.set(person.id, given, actor=_owner_id(store))
    err.print(f"{name} has a new password.")


@app.command("invite")
def invite(
    role: RoleChoice = ROLE,
    note: str = typer.Option("", "--note", help="Whom the invitation is meant for."),
    days: int = typer.Option(7, "--days", min=1, max=90, help="How long it lasts."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Make an invitation that works once, and print its link. The link is not shown again."""
    settings = load_settings(data_dir=data_dir)
    with _open_store(data_dir) as store:
        me = store.people.owner()
        token, invitation = store.invitations.create(me, role.value, note=note, lifetime=timedelta(days=days))
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    link = f"{base}/signup#{token}"
    if as_json:
        print_json(_invitation_dict(invitation) | {"link": link, "token": token})
        return
    err.print(f"Whoever opens this link first becomes a {role.value}, until {invitation.expires_utc:%Y-%m-%d %H:%M} UTC:")
    out.print(link, soft_wrap=True, highlight=False)


@app.command("invitations")
def invitations(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the invitations: open, used and ended."""
    with _open_store(data_dir) as store:
        rows = [_invitation_dict(one) for one in store.invitations.list()]
        names = {person.id: person.name for person in store.people.list()}
    if as_json:
        print_json(rows)
        return
    cells = [
        (row["id"], row["role"], row["state"], names.get(row["used_by"] or "", ""), row["expires_utc"][:16], row["note"])
        for row in rows
    ]
    print_table(("Id", "Role", "State", "Used by", "Ends (UTC)", "Note"), cells)


@app.command("withdraw")
def withdraw(invitation: str = typer.Argument(help="The id of an open invitation."), data_dir: Path | None = DATA_DIR) -> None:
    """Withdraw an invitation that nobody has used."""
    with _open_store(data_dir) as store:
        store.invitations.revoke(invitation, actor=_owner_id(store))
    err.print("Nobody can use it any more.")


@app.command("role")
def role(
    name: str = NAME,
    role: RoleChoice = typer.Argument(help="What the person may do from now on."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Give a person another role. What a server streams to them ends."""
    with _open_store(data_dir) as store:
        person = store.people.set_role(store.people.get_by_name(name).id, role.value, actor=_owner_id(store))
    err.print(f"{person.name} is {person.role} now.")


@app.command("sign-out")
def sign_out(name: str = NAME, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """End all sessions of a person and revoke all of their keys."""
    with _open_store(data_dir) as store:
        ended = store.people.revoke_access(store.people.get_by_name(name).id, actor=_owner_id(store))
    if as_json:
        print_json(ended)
        return
    err.print(f"Ended {ended['sessions']} sessions and revoked {ended['keys']} keys of {name}.")


@app.command("remove")
def remove(
    name: str = NAME,
    delete_data: bool = typer.Option(False, "--delete-data", help="Delete conversations, answers and words as well."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Close a person's account: nobody gets in by it any more. What they judged stays in the log, under a pseudonym."""
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        question = f"Delete {name} with everything that is theirs?" if delete_data else f"Close the account of {name}?"
        if not yes and not typer.confirm(question, err=True):
            raise typer.Abort
        if delete_data:
            store.delete_person(person.id, actor=_owner_id(store))
        else:
            store.people.close_account(person.id, actor=_owner_id(store))
    err.print(f"{name} and everything of theirs is deleted." if delete_data else f"The account of {name} is closed.")


@key_app.command("create")
def create_key(
    name: str = NAME,
    label: str = typer.Option("command line", "--label", help="What the key is for."),
    scope: list[ScopeChoice] = SCOPES,
    days: int = typer.Option(0, "--days", min=0, max=3660, help="How long it is good; 0 is until it is revoked."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Make an API key for a person and print it. It is not shown again."""
    until = now_utc() + timedelta(days=days) if days else None
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        scopes: list[KeyScope] = [one.value for one in scope]
        secret, key = store.api_keys.create(person.id, label, scopes, expires_utc=until, actor=_owner_id(store))
    if as_json:
        print_json(_key_dict(key) | {"key": secret})
        return
    err.print(f"A key of {name} for {', '.join(_key_dict(key)['scopes'])}:")
    out.print(secret, soft_wrap=True, highlight=False)


@key_app.command("list")
def list_keys(name: str = NAME, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List a person's keys, newest first."""
    with _open_store(data_dir) as store:
        rows = [_key_dict(key) for key in store.api_keys.list(store.people.get_by_name(name).id)]
    if as_json:
        print_json(rows)
        return
    cells = [
        (
            row["id"],
            row["name"],
            f"{row['hint']}...",
            ", ".join(row["scopes"]),
            row["used_utc"] or "never",
            row["expires_utc"] or "",
        )
        for row in rows
    ]
    print_table(("Id", "For", "Begins", "Scopes", "Last used (UTC)", "Ends (UTC)"), cells)


@key_app.command("revoke")
def revoke_key(
    name: str = NAME, key: str = typer.Argument(help="The key's id, or how it begins."), data_dir: Path | None = DATA_DIR
) -> None:
    """Revoke a key. What a server streams by it ends."""
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        found = [one for one in store.api_keys.list(person.id) if one.id == key or (one.hint == key[: len(one.hint)])]
        if len(found) != 1:
            raise BadInput(f"{key!r} names {len(found)} keys of {name}.", advice="Give the id that `people key list` shows.")
        store.api_keys.revoke(found[0].id, person_id=person.id, actor=_owner_id(store))
    err.print("The key is revoked.")


def _open_store(data_dir: Path | None) -> Store:
    from yearling.store import Store

    return Store.open(load_settings(data_dir=data_dir))


def _owner_id(store: Store) -> str:
    """Whoever has the data folder is its owner."""
    return store.people.owner().id


def _person_dict(store: Store, person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "role": person.role,
        "created_utc": person.created_utc.isoformat(),
        "closed_utc": person.closed_utc.isoformat() if person.closed_utc else None,
        "password": store.passwords.has_password(person.id),
        "providers": store.identities.list_issuers(person.id),
        "sessions": len(store.sessions.list(person.id)),
        "keys": len(store.api_keys.list(person.id)),
    }


def _sign_in_methods(row: dict[str, Any]) -> list[str]:
    return [*(["password"] if row["password"] else []), *row["providers"]]


def _invitation_dict(invitation: Invitation) -> dict[str, Any]:
    ended = "ended" if invitation.expires_utc <= now_utc() else "open"
    return {
        "id": invitation.id,
        "role": invitation.role,
        "state": "used" if invitation.used_utc else ended,
        "note": invitation.note,
        "used_by": invitation.used_by,
        "created_utc": invitation.created_utc.isoformat(),
        "expires_utc": invitation.expires_utc.isoformat(),
    }


def _key_dict(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": [scope for scope in KEY_SCOPES if scope in key.scopes],
        "created_utc": key.created_utc.isoformat(),
        "used_utc": key.used_utc.isoformat() if key.used_utc else None,
        "expires_utc": key.expires_utc.isoformat() if key.expires_utc else None,
    }
