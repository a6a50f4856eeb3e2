"""`yearling people`: passwords, invitations, roles, keys and the closing of accounts."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.cli.conftest import Run
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import Store, hash_token

SECRET = "correct horse battery"


@pytest.fixture
def run(run_yearling: Run) -> Run:
    return partial(run_yearling, "people")


def test_invite_needs_a_password_and_prints_a_link(run: Run, store: Store) -> None:
    with pytest.raises(Conflict, match="password"):
        run("invite")
    assert "new password" in run("password", "owner", typed=f"{SECRET}\n{SECRET}\n").stderr
    assert store.passwords.authenticate("owner", SECRET) is not None
    link = run("invite", "--role", "maintainer", "--note", "Ada").stdout.strip()
    address, _, token = link.partition("#")
    assert address == "http://127.0.0.1:8400/signup"
    assert store.invitations.get_open(token).role == "maintainer"
    [row] = json.loads(run("invitations", "--json").stdout)
    assert (row["state"], row["note"], token in json.dumps(row)) == ("open", "Ada", False)
    run("withdraw", row["id"])
    with pytest.raises(NotFound):
        store.invitations.get_open(token)


def test_list_shows_how_people_sign_in(run: Run, store: Store) -> None:
    store.people.add("Ada", "reader")
    run("password", "Ada", "--stdin", typed=SECRET + "\n")
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert (rows["Ada"]["role"], rows["Ada"]["password"], rows["owner"]["password"]) == ("reader", True, False)
    table = run("list").stdout
    assert "password" in table
    assert "cannot sign in" in table


def test_roles_can_change_but_one_owner_must_stay(run: Run, store: Store) -> None:
    store.people.add("Ada")
    assert "The role of Ada is now owner" in run("role", "Ada", "owner").stderr
    run("role", "owner", "member")
    with pytest.raises(Conflict):
        run("role", "Ada", "member")
    assert run("role", "Ada", "emperor").exit_code == 2
    with pytest.raises(NotFound):
        run("role", "Nobody", "member")


def test_key_is_printed_once_and_revoked_by_its_prefix(run: Run, store: Store) -> None:
    ada = store.people.add("Ada")
    secret = run("key", "create", "Ada", "--label", "laptop", "--scope", "feedback", "--days", "2").stdout.strip()
    match = store.api_keys.find_by_digest(hash_token(secret))
    assert match is not None
    key, person = match
    assert (person, key.scopes) == (ada, frozenset({"feedback"}))
    [row] = json.loads(run("key", "list", "Ada", "--json").stdout)
    assert (row["name"], secret.startswith(row["hint"]), secret in json.dumps(row)) == ("laptop", True, False)
    assert "laptop" in run("key", "list", "Ada").stdout
    with pytest.raises(BadInput):
        run("key", "revoke", "Ada", "yk_none")
    run("key", "revoke", "Ada", secret[:10])
    assert store.api_keys.find_by_digest(hash_token(secret)) is None


def test_remove_asks_and_closes_or_deletes_the_account(run: Run, store: Store) -> None:
    ada = store.people.add("Ada")
    assert run("remove", "Ada", typed="n\n").exit_code == 1
    assert store.people.get(ada.id).closed_utc is None
    run("remove", "Ada", "--yes")
    assert store.people.get(ada.id).closed_utc is not None
    run("remove", "Ada", "--delete-data", "--yes")
    with pytest.raises(NotFound):
        store.people.get(ada.id)


def test_sign_out_ends_sessions_and_revokes_keys(run: Run, store: Store) -> None:
    ada = store.people.add("Ada")
    store.sessions.open(ada.id, method="test")
    store.api_keys.create(ada.id, "key", ["read"])
    assert json.loads(run("sign-out", "Ada", "--json").stdout) == {"sessions": 1, "keys": 1}


def test_changes_are_in_the_audit_log(run: Run, store: Store) -> None:
    run("password", "owner", "--stdin", typed=SECRET + "\n")
    run("invite")
    owner = store.people.owner().id
    done = [(entry.actor, entry.action) for entry in store.audit.entries()][-2:]
    assert done == [(owner, "password.set"), (owner, "invitation.create")]
