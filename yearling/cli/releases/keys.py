"""`yearling release key`: the keys of the people who sign releases, and how many of them decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.cli.releases.common import (
    FROM_STDIN,
    REASON,
    OpenReleases,
    open_releases,
    print_change,
    propose,
    read_passphrase,
    who_decides,
)
from yearling.errors import BadInput, NotFound

if TYPE_CHECKING:
    from yearling.release import HolderKey

app = typer.Typer(help="Manage the keys that sign releases, and how many signatures decide.", no_args_is_help=True)

KEY = typer.Argument(help="Id of the key, the beginning of it, or the name of its holder.")
THRESHOLD = typer.Option(None, "--threshold", min=1, help="Signatures that decide from then on; default: as before.")
PERSON = typer.Option(None, "--person", help="Person whose key it is; default: the owner.")


@app.command("new")
def new(
    person: str | None = PERSON,
    out_file: Path | None = typer.Option(
        None, "--out", help="Write the key to this file, for example on a removable disk, instead of keeping it on this machine."
    ),
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Make a key and print its public part. It has no vote before `release key add` and the signatures for it."""
    from yearling.release import write_key_file

    if out_file is not None:
        public = write_key_file(out_file, read_passphrase(from_stdin, is_new=True))
        if as_json:
            print_json({"public": public, "file": str(out_file)})
            return
        err.print("The key is written and protected by its passphrase. Its public part, for `release key add --public`:")
        out.print(public, highlight=False)
        return
    with open_releases(data_dir, sign_first=True) as opened:
        owner = opened.owner if person is None else opened.store.people.get_by_name(person)
        key = opened.authority.create_key(owner, passphrase=read_passphrase(from_stdin, is_new=True, of=owner.name))
        public = opened.authority.holder_key(key.key_id).public
    if as_json:
        print_json({"key": key.key_id, "public": public, "person": key.name})
        return
    err.print(
        f"The key of {key.name} is made. Give it a vote with `yearling release key add {key.key_id[:12]}`.", highlight=False
    )
    out.print(key.key_id, highlight=False)


@app.command("list")
def list_keys(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the key-holders, and the keys on this machine that have no vote."""
    with open_releases(data_dir) as opened:
        state = opened.authority.state()
        voting = {holder.key_id for holder in state.holders}
        rows: list[dict[str, object]] = [
            {"key": h.key_id, "person": h.name, "vote": True, "stored": h.is_stored, "protected": h.is_protected}
            for h in state.holders
        ]
        rows += [
            {"key": key.key_id, "person": key.name, "vote": False, "stored": True, "protected": key.is_protected}
            for key in opened.authority.keys.list()
            if key.key_id not in voting
        ]
    if as_json:
        print_json({"threshold": state.threshold, "keys": rows})
        return
    cells = [
        (
            str(row["key"])[:12],
            row["person"],
            "yes" if row["vote"] else "no",
            "this machine" if row["stored"] else "elsewhere",
            "" if not row["stored"] else "passphrase" if row["protected"] else "not protected",
        )
        for row in rows
    ]
    print_table(("Key", "Person", "Vote", "Kept on", "Protection"), cells)
    err.print(f"{who_decides(state)}.", highlight=False)


@app.command("add")
def add(
    key: str | None = typer.Argument(None, help="Key on this machine that `release key new` made; or use --public."),
    public: str | None = typer.Option(None, "--public", help="Public part of a key that is kept elsewhere."),
    person: str | None = PERSON,
    threshold: int | None = THRESHOLD,
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Propose that a key gets a vote. A person has one key: a new key takes the place of their old one."""
    from yearling.release import Change

    if (key is None) == (public is None):
        raise BadInput("Name one key.", advice="Give the id of a key on this machine, or --public and --person.", param="key")
    with open_releases(data_dir, sign_first=True) as opened:
        added = _stored_key(opened, key) if key is not None else _foreign_key(opened, public or "", person)
        change = Change(kind="keys", add=(added,), threshold=threshold, reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("revoke")
def revoke(
    key: str = KEY,
    threshold: int | None = THRESHOLD,
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Propose that a key loses its vote."""
    from yearling.release import Change

    with open_releases(data_dir, sign_first=True) as opened:
        matches = [
            holder.key_id for holder in opened.authority.state().holders if holder.name == key or _begins(holder.key_id, key)
        ]
        if len(matches) != 1:
            raise NotFound(
                f"{key!r} names {len(matches)} keys of key-holders.", advice="List them with `yearling release key list`."
            )
        change = Change(kind="keys", revoke=(matches[0],), threshold=threshold, reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("threshold")
def threshold(
    count: int = typer.Argument(min=1, help="How many key-holders have to sign."),
    reason: str = REASON,
    from_stdin: bool = FROM_STDIN,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Propose how many signatures decide. Both the old number and the new one have to sign it."""
    from yearling.release import Change

    with open_releases(data_dir, sign_first=True) as opened:
        change = Change(kind="keys", threshold=count, reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


@app.command("protect")
def protect(
    key: str = KEY,
    from_stdin: bool = typer.Option(
        False, "--stdin", help="Read the new passphrase from standard input; for a key that has none yet."
    ),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Protect a key on this machine with a passphrase, or change its passphrase."""
    with open_releases(data_dir) as opened:
        stored = _find_stored(opened, key)
        is_protected = opened.authority.keys.get(stored).is_protected
        old = read_passphrase(False) if is_protected else ""
        new_passphrase = read_passphrase(from_stdin, is_new=True)
        holder = opened.authority.protect_key(stored, passphrase=new_passphrase, old_passphrase=old, actor=opened.owner.id)
    err.print(f"The key of {holder.name} is protected by the passphrase.", highlight=False)


@app.command("rotate-online")
def rotate_online(
    reason: str = REASON, from_stdin: bool = FROM_STDIN, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON
) -> None:
    """Propose a new key for the server, for when its old one was lost or seen by others."""
    from yearling.release import Change

    with open_releases(data_dir) as opened:
        change = Change(kind="keys", online=opened.authority.new_online_key(), reason=reason)
        print_change(opened, propose(opened, change, from_stdin=from_stdin), as_json)


def _stored_key(opened: OpenReleases, key: str) -> HolderKey:
    return opened.authority.holder_key(_find_stored(opened, key))


def _find_stored(opened: OpenReleases, key: str) -> str:
    matches = [stored.key_id for stored in opened.authority.keys.list() if stored.name == key or _begins(stored.key_id, key)]
    if len(matches) != 1:
        raise NotFound(
            f"{key!r} names {len(matches)} keys on this machine.", advice="List them with `yearling release key list`."
        )
    return matches[0]


def _foreign_key(opened: OpenReleases, public: str, person: str | None) -> HolderKey:
    from yearling.release import HolderKey

    if person is None:
        raise BadInput("Whose key is it?", advice="Name the person with --person.", param="person")
    owner = opened.store.people.get_by_name(person)
    return HolderKey(public=public.strip().lower(), name=owner.name, person_id=owner.id)


def _begins(key_id: str, text: str) -> bool:
    return len(text) >= 4 and key_id.startswith(text)
