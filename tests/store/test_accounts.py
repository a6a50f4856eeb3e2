"""Passwords, sessions, API keys, invitations, identities and closed accounts, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import argon2
import pytest

from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound
from yearling.records import Person
from yearling.store import Store, hash_token
from yearling.store.accounts.passwords import PasswordStore
from yearling.store.accounts.sessions import MAX_SESSION_LIFETIME
from yearling.store.database import schema

SECRET = "correct horse battery"


@pytest.fixture
def owner(store: Store) -> Person:
    """The owner with a password hash that matches nothing, since real hashing is slow."""
    owner = store.people.owner()
    with store.database.write() as connection:
        connection.execute(schema.passwords.insert().values(person_id=owner.id, hash="none", changed_utc=now_utc()))
    return owner


def actions(store: Store) -> list[str]:
    return [entry.action for entry in store.audit.entries()]


@pytest.mark.parametrize("name", ["ada", "ADA", " Ada ", "Ａda", "x" * 65, "", "\n", "a\0b", "\u202eadA"], ids=ascii)
def test_lookalike_and_invalid_names_are_refused(store: Store, name: str) -> None:
    store.people.add("Ada")
    with pytest.raises((Conflict, BadInput)):
        store.people.add(name)


@pytest.mark.slow
def test_password_authenticates_and_only_its_hash_is_stored(
    store: Store, fast_password_hashing: type[argon2.PasswordHasher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(argon2, "PasswordHasher", fast_password_hashing)
    passwords = PasswordStore(store.database)  # with the real cost of hashing
    ada = store.people.add("Ada")
    assert (passwords.has_password(ada.id), store.people.has_accounts()) == (False, False)
    passwords.set(ada.id, SECRET, actor=ada.id)
    assert (passwords.has_password(ada.id), store.people.has_accounts()) == (True, True)
    with store.database.read() as connection:
        assert "$argon2id$v=19$m=65536,t=3,p=4$" in repr(connection.execute(schema.passwords.select()).all())
    assert passwords.authenticate("Ada", SECRET) == ada
    assert passwords.authenticate("Ada", SECRET + "x") is None
    assert passwords.authenticate("Ben", SECRET) is None
    store.people.close_account(ada.id, actor="test")
    assert passwords.authenticate("Ada", SECRET) is None
    assert SECRET not in repr(store.audit.entries())


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaa", "x" * 1025])
def test_weak_passwords_are_refused(store: Store, password: str) -> None:
    with pytest.raises(BadInput):
        store.passwords.set(store.people.owner().id, password, actor="test")


def test_concurrent_acceptance_creates_one_person(store: Store, owner: Person) -> None:
    token, invitation = store.invitations.create(owner, "reader", note="Ada")
    assert store.invitations.get_open(token) == invitation

    def accept(number: int) -> Person | None:
        try:
            return store.invitations.accept(token, f"Ada {number}", password_hash="hash")
        except NotFound:
            return None

    with ThreadPoolExecutor(6) as pool:
        created = [person for person in pool.map(accept, range(6)) if person is not None]
    assert len(created) == 1
    assert [person.name for person in store.people.list()] == ["owner", created[0].name]
    [used] = store.invitations.list()
    assert (used.used_by, created[0].role) == (created[0].id, "reader")
    with pytest.raises(NotFound):
        store.invitations.revoke(used.id, actor=owner.id)


def test_taken_name_leaves_invitation_open(store: Store, owner: Person) -> None:
    token, _ = store.invitations.create(owner)
    with pytest.raises(Conflict):
        store.invitations.accept(token, "OWNER", password_hash="hash")
    assert store.invitations.accept(token, "Ada", password_hash="hash").role == "member"


def test_invitation_expires(store: Store, owner: Person) -> None:
    token, invitation = store.invitations.create(owner)
    with store.database.write() as connection:
        connection.execute(schema.invitations.update().values(expires_utc=now_utc() - timedelta(seconds=1)))
    with pytest.raises(NotFound):
        store.invitations.get_open(token)
    with pytest.raises(NotFound):
        store.invitations.accept(token, "Ada", password_hash="hash")
    store.invitations.revoke(invitation.id, actor=owner.id)
    assert store.invitations.list() == []
    for lifetime in (timedelta(0), timedelta(days=91)):
        with pytest.raises(BadInput):
            store.invitations.create(owner, lifetime=lifetime)


def test_inviter_needs_a_higher_role(store: Store, owner: Person) -> None:
    maintainer, member = store.people.add("Max", "maintainer"), store.people.add("Mia")
    store.invitations.create(maintainer, "member")
    for inviter, role in ((maintainer, "maintainer"), (maintainer, "owner"), (member, "reader")):
        with pytest.raises(NotAllowed):
            store.invitations.create(inviter, role)  # type: ignore[arg-type]


def test_nobody_can_be_invited_before_anybody_can_sign_in(store: Store) -> None:
    with pytest.raises(Conflict):
        store.invitations.create(store.people.owner())


def test_session_is_found_by_its_token_until_it_expires(store: Store) -> None:
    ada, ben = store.people.add("Ada"), store.people.add("Ben")
    token, session = store.sessions.open(ada.id, method="test", agent="a" * 500)
    assert store.sessions.find_by_digest(hash_token(token)) == (session, ada)
    assert len(session.agent) == 200
    assert store.sessions.find_by_digest(token) is None, "sessions are found by the hash only"
    with pytest.raises(NotFound):
        store.sessions.close(session.id, person_id=ben.id)
    used = store.sessions.record_use(session)
    assert used.expires_utc > session.expires_utc
    with store.database.write() as connection:
        connection.execute(schema.sessions.update().values(expires_utc=now_utc()))
    assert store.sessions.find_by_digest(hash_token(token)) is None
    assert store.sessions.list(ada.id) == []
    store.sessions.open(ben.id, method="test")
    with store.database.read() as connection:
        assert len(connection.execute(schema.sessions.select()).all()) == 1, "expired sessions are deleted"


def test_use_does_not_extend_a_session_beyond_its_maximum(store: Store) -> None:
    ada = store.people.add("Ada")
    _, session = store.sessions.open(ada.id, method="test")
    created_utc = now_utc() - MAX_SESSION_LIFETIME + timedelta(days=1)
    with store.database.write() as connection:
        connection.execute(schema.sessions.update().values(created_utc=created_utc))
    [session] = store.sessions.list(ada.id)
    assert store.sessions.record_use(session).expires_utc == created_utc + MAX_SESSION_LIFETIME


def test_close_others_ends_all_other_sessions(store: Store) -> None:
    ada, ben = store.people.add("Ada"), store.people.add("Ben")
    kept = store.sessions.open(ada.id, method="test")[1]
    for person in (ada, ada, ben):
        store.sessions.open(person.id, method="test")
    assert store.sessions.close_others(ada.id, keep_session_id=kept.id) == 2
    assert store.sessions.list(ada.id) == [kept]
    assert len(store.sessions.list(ben.id)) == 1


def test_key_is_valid_until_revoked_or_expired(store: Store) -> None:
    ada, ben = store.people.add("Ada"), store.people.add("Ben")
    secret, key = store.api_keys.create(ada.id, "laptop", ["chat", "read"], expires_utc=now_utc() + timedelta(hours=1))
    assert secret.startswith("yk_")
    assert len(secret) >= 40
    assert store.api_keys.find_by_digest(hash_token(secret)) == (key, ada)
    store.api_keys.record_use(key.id)
    [used] = store.api_keys.list(ada.id)
    assert used.used_utc is not None
    assert used.scopes == {"read", "chat"}
    with pytest.raises(NotFound):
        store.api_keys.revoke(key.id, person_id=ben.id)
    with store.database.write() as connection:
        connection.execute(schema.api_keys.update().values(expires_utc=now_utc()))
    assert store.api_keys.find_by_digest(hash_token(secret)) is None
    store.api_keys.revoke(key.id, person_id=ada.id)
    assert store.api_keys.list(ada.id) == []
    assert actions(store)[-2:] == ["key.create", "key.revoke"]


def test_invalid_keys_are_refused(store: Store) -> None:
    ada = store.people.add("Ada")
    for name, scopes in (("", ["read"]), ("a\n", ["read"]), ("a", []), ("a", ["all"])):
        with pytest.raises(BadInput):
            store.api_keys.create(ada.id, name, scopes)  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        store.api_keys.create(ada.id, "a", ["read"], expires_utc=now_utc())
    with pytest.raises(NotFound):
        store.api_keys.create("nobody", "a", ["read"])


def test_concurrent_changes_leave_one_owner(store: Store, owner: Person) -> None:
    owners = [owner, *(store.people.add(f"Owner {number}", "owner") for number in range(5))]

    def leave(person: Person) -> bool:
        try:
            store.people.set_role(person.id, "member", actor=person.id)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(leave, owners)) == [False, True, True, True, True, True]
    [last] = [person for person in store.people.list() if person.role == "owner"]
    for remove in (store.people.close_account, store.people.delete, store.delete_person):
        with pytest.raises(Conflict):
            remove(last.id, actor="test")


def test_closing_an_account_revokes_all_access(store: Store, owner: Person) -> None:
    ada = store.people.add("Ada", "maintainer")
    token, _ = store.sessions.open(ada.id, method="test")
    secret, _ = store.api_keys.create(ada.id, "key", ["read"])
    store.identities.link(ada.id, "https://issuer.example", "1")
    invitation, _ = store.invitations.create(ada)
    assert store.people.close_account(ada.id, actor=owner.id).closed_utc is not None
    assert store.sessions.find_by_digest(hash_token(token)) is None
    assert store.api_keys.find_by_digest(hash_token(secret)) is None
    assert store.identities.find_person("https://issuer.example", "1") is None
    with pytest.raises(NotFound):
        store.invitations.get_open(invitation)


def test_deleting_a_person_deletes_all_their_records(store: Store, owner: Person) -> None:
    ada = store.people.add("Ada")
    conversation = store.conversations.create(ada.id, "Mine")
    store.conversations.add_message(conversation.id, person_id=ada.id, role="user", content="My words", parent_id=None)
    store.sessions.open(ada.id, method="test")
    store.api_keys.create(ada.id, "key", ["read"])
    store.delete_person(ada.id, actor=owner.id)
    with store.database.read() as connection:
        for table in (schema.conversations, schema.messages, schema.sessions, schema.api_keys, schema.search_entries):
            assert connection.execute(table.select()).all() == []
    assert store.verify().ok
    with pytest.raises(Conflict):
        store.delete_person(owner.id, actor=owner.id)
    assert store.people.get(owner.id).closed_utc is None
    assert {"person.close", "conversation.delete", "person.delete"} <= {*actions(store)}


def test_identity_belongs_to_one_person(store: Store, owner: Person) -> None:
    ada = store.people.add("Ada")
    store.identities.link(ada.id, "https://issuer.example", "1")
    assert store.identities.find_person("https://issuer.example", "1") == ada
    assert store.identities.find_person("https://other.example", "1") is None
    assert store.identities.list_issuers(ada.id) == ["https://issuer.example"]
    with pytest.raises(Conflict):
        store.identities.link(owner.id, "https://issuer.example", "1")
    ben = store.identities.create_person("Ben", "reader", issuer="https://issuer.example", subject="2")
    assert (ben.role, store.people.has_accounts()) == ("reader", True)


def test_backup_contains_accounts(store: Store, owner: Person, tmp_path_factory: pytest.TempPathFactory) -> None:
    ada = store.people.add("Ada")
    secret, key = store.api_keys.create(ada.id, "key", ["read"])
    path = tmp_path_factory.mktemp("backup") / "backup.tar.gz"
    assert store.backup(path).schema == schema.SCHEMA_VERSION
    assert secret.encode() not in path.read_bytes()
    assert store.api_keys.find_by_digest(hash_token(secret)) == (key, ada)
