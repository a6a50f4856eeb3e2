"""`yearling people`: accounts, roles, passwords, invitations and API keys. Works on the data folder, with or without a server.

A running server notices changes within a second, and ends streams whose permission was revoked.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR, YES
from yearling.cli.standard_streams import read_piped_text
from yearling.clock import now_utc
from yearling.config import load_settings
from yearling.errors import BadInput
from yearling.records import KEY_SCOPES, KeyScope, Person

if TYPE_CHECKING:
    from yearling.store import ApiKey, Invitation, Store

app = typer.Typer(help="Manage the people who may use this installation, their roles and their API keys.", no_args_is_help=True)
key_app = typer.Typer(help="Manage the API keys of a person.", no_args_is_help=True)
app.add_typer(key_app, name="key")

NAME = typer.Argument(help="Name of the person.")


def acting_person_id(store: Store, name_or_id: str | None) -> str:
    """The id of the person on whose behalf a command acts: by name or id, by default the owner. Raises NotFound."""
    if name_or_id is None:
        return store.people.owner().id
    by_id = (person.id for person in store.people.list() if person.id == name_or_id)
    return next(by_id, "") or store.people.get_by_name(name_or_id).id


class RoleChoice(StrEnum):
    """What a person may do, from least to most."""

    READER = "reader"
    MEMBER = "member"
    MAINTAINER = "maintainer"
    OWNER = "owner"


class ScopeChoice(StrEnum):
    """What an API key may be used for."""

    READ = "read"
    CHAT = "chat"
    FEEDBACK = "feedback"
    ADMIN = "admin"


ROLE = typer.Option(RoleChoice.MEMBER, "--role", help="Role of the person who accepts the invitation.")
SCOPES = typer.Option(
    [ScopeChoice.READ, ScopeChoice.CHAT], "--scope", help="What the key may be used for; can be given several times."
)


@app.command("list")
def list_people(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List all people with their roles and ways to sign in."""
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
    print_table(("Name", "Role", "Signs in by", "Sessions>", "Keys>", "Created (UTC)"), cells)


@app.command("password")
def password(
    name: str = NAME,
    from_stdin: bool = typer.Option(False, "--stdin", help="Read the password from standard input instead of prompting for it."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Set the password of a person and end all of their sessions. Sign-in is required once any account has a password."""
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        if from_stdin:
            typed = sys.stdin.readline() if sys.stdin.isatty() else read_piped_text()
            new_password = typed.partition("\n")[0].removesuffix("\r")
        else:
            new_password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        store.passwords.set(person.id, new_password, actor=_owner_id(store))
    err.print(f"{name} has a new password.")


@app.command("invite")
def invite(
    role: RoleChoice = ROLE,
    note: str = typer.Option("", "--note", help="Note on the purpose of the invitation, for example a name."),
    days: int = typer.Option(7, "--days", min=1, max=90, help="Days until the invitation expires."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Create an invitation and print its link, which works once and is not shown again."""
    settings = load_settings(data_dir=data_dir)
    with _open_store(data_dir) as store:
        owner = store.people.owner()
        token, invitation = store.invitations.create(owner, role.value, note=note, lifetime=timedelta(days=days))
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    link = f"{base}/signup#{token}"
    if as_json:
        print_json(_invitation_dict(invitation) | {"link": link, "token": token})
        return
    expiry = f"{invitation.expires_utc:%Y-%m-%d %H:%M} UTC"
    err.print(f"The first person who opens this link becomes a {role.value}. The link expires on {expiry}:", soft_wrap=True)
    out.print(link, soft_wrap=True, highlight=False)


@app.command("invitations")
def invitations(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the open, used and expired invitations."""
    with _open_store(data_dir) as store:
        rows = [_invitation_dict(invitation) for invitation in store.invitations.list()]
        names = {person.id: person.name for person in store.people.list()}
    if as_json:
        print_json(rows)
        return
    cells = [
        (row["id"], row["role"], row["state"], names.get(row["used_by"] or "", ""), row["expires_utc"][:16], row["note"])
        for row in rows
    ]
    print_table(("Id", "Role", "State", "Used by", "Expires (UTC)", "Note"), cells)


@app.command("withdraw")
def withdraw(invitation: str = typer.Argument(help="Id of an open invitation."), data_dir: Path | None = DATA_DIR) -> None:
    """Withdraw an invitation that was not used yet."""
    with _open_store(data_dir) as store:
        store.invitations.revoke(invitation, actor=_owner_id(store))
    err.print("The invitation is withdrawn.")


@app.command("role")
def role(
    name: str = NAME,
    role: RoleChoice = typer.Argument(help="The new role of the person."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Change the role of a person. A running server ends their open streams."""
    with _open_store(data_dir) as store:
        person = store.people.set_role(store.people.get_by_name(name).id, role.value, actor=_owner_id(store))
    err.print(f"The role of {person.name} is now {person.role}.")


@app.command("sign-out")
def sign_out(name: str = NAME, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """End all sessions of a person and revoke all of their keys."""
    with _open_store(data_dir) as store:
        counts = store.people.revoke_access(store.people.get_by_name(name).id, actor=_owner_id(store))
    if as_json:
        print_json(counts)
        return
    err.print(f"Ended {counts['sessions']} sessions and revoked {counts['keys']} keys of {name}.")


@app.command("remove")
def remove(
    name: str = NAME,
    delete_data: bool = typer.Option(
        False, "--delete-data", help="Also delete the person's conversations, answers and texts; this cannot be undone."
    ),
    yes: bool = YES,
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Close the account of a person, who can no longer sign in. Their judgements stay in the log under a pseudonym."""
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        question = f"Delete {name} and all of their data?" if delete_data else f"Close the account of {name}?"
        if not yes and not typer.confirm(question, err=True):
            raise typer.Abort
        if delete_data:
            store.delete_person(person.id, actor=_owner_id(store))
        else:
            store.people.close_account(person.id, actor=_owner_id(store))
    err.print(f"{name} and all of their data are deleted." if delete_data else f"The account of {name} is closed.")


@key_app.command("create")
def create_key(
    name: str = NAME,
    label: str = typer.Option("command line", "--label", help="Label that says what the key is for."),
    scope: list[ScopeChoice] = SCOPES,
    days: int = typer.Option(0, "--days", min=0, max=3660, help="Days until the key expires; 0 means never."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Create an API key for a person and print it. It is not shown again."""
    expires_utc = now_utc() + timedelta(days=days) if days else None
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        scopes: list[KeyScope] = [choice.value for choice in scope]
        secret, key = store.api_keys.create(person.id, label, scopes, expires_utc=expires_utc, actor=_owner_id(store))
    if as_json:
        print_json({**_key_dict(key), "key": secret})
        return
    err.print(f"API key of {name} for {', '.join(_key_dict(key)['scopes'])}:")
    out.print(secret, soft_wrap=True, highlight=False)


@key_app.command("list")
def list_keys(name: str = NAME, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the API keys of a person, the newest first."""
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
    print_table(("Id", "Label", "Begins with", "Scopes", "Last used (UTC)", "Expires (UTC)"), cells)


@key_app.command("revoke")
def revoke_key(
    name: str = NAME,
    key: str = typer.Argument(help="Id of the API key, or the key's first characters."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Revoke an API key. A running server ends the streams that use it."""
    with _open_store(data_dir) as store:
        person = store.people.get_by_name(name)
        matches = [
            record for record in store.api_keys.list(person.id) if key == record.id or key[: len(record.hint)] == record.hint
        ]
        if len(matches) != 1:
            raise BadInput(
                f"{key!r} matches {len(matches)} API keys of {name}.",
                advice=f"Use an id that `yearling people key list {name}` prints.",
            )
        store.api_keys.revoke(matches[0].id, person_id=person.id, actor=_owner_id(store))
    err.print("The key is revoked.")


def _open_store(data_dir: Path | None) -> Store:
    from yearling.store import Store

    return Store.open(load_settings(data_dir=data_dir))


def _owner_id(store: Store) -> str:
    """The owner's id. Whoever can read the data folder acts as its owner."""
    return store.people.owner().id


class _PersonRow(TypedDict):
    id: str
    name: str
    role: str
    created_utc: str
    closed_utc: str | None
    password: bool
    providers: list[str]
    sessions: int
    keys: int


class _InvitationRow(TypedDict):
    id: str
    role: str
    state: str
    note: str
    used_by: str | None
    created_utc: str
    expires_utc: str


class _KeyRow(TypedDict):
    id: str
    name: str
    hint: str
    scopes: list[KeyScope]
    created_utc: str
    used_utc: str | None
    expires_utc: str | None


def _person_dict(store: Store, person: Person) -> _PersonRow:
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


def _sign_in_methods(row: _PersonRow) -> list[str]:
    return [*(["password"] if row["password"] else []), *row["providers"]]


def _invitation_dict(invitation: Invitation) -> _InvitationRow:
    return {
        "id": invitation.id,
        "role": invitation.role,
        "state": invitation.state,
        "note": invitation.note,
        "used_by": invitation.used_by,
        "created_utc": invitation.created_utc.isoformat(),
        "expires_utc": invitation.expires_utc.isoformat(),
    }


def _key_dict(key: ApiKey) -> _KeyRow:
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": [scope for scope in KEY_SCOPES if scope in key.scopes],
        "created_utc": key.created_utc.isoformat(),
        "used_utc": key.used_utc.isoformat() if key.used_utc else None,
        "expires_utc": key.expires_utc.isoformat() if key.expires_utc else None,
    }
