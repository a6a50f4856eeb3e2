"""Sign-in, sign-up, sessions, API keys and roles, for browsers and other clients."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory, RunningApi
from yearling.clock import now_utc
from yearling.store import Store

SECRET = "correct horse battery"
SAME_ORIGIN = {"origin": "http://127.0.0.1"}


def set_owner_password(store: Store, name: str = "owner") -> None:
    """Give the owner a password without hashing one, for tests that do not sign in with it."""
    with store.database.write() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO passwords SELECT id, '$argon2id$none', '2026-01-01T00:00:00.000000Z' FROM people WHERE name = '{name}'"
        )


async def refresh_access(api: RunningApi) -> RunningApi:
    """Let the server notice what the test has changed in the store."""
    await api.app.state.services.access.refresh()
    return api


def session_headers(store: Store, name: str) -> dict[str, str]:
    """Headers with the cookie of a new session, and with the origin of the server's own page."""
    token, _ = store.sessions.open(store.people.get_by_name(name).id, method="test")
    return {"cookie": f"yearling_session={token}", **SAME_ORIGIN}


async def test_loopback_without_accounts_needs_no_sign_in(start_api: ApiFactory) -> None:
    async with start_api() as api:
        person_json = (await api.client.get("/v1/auth")).json()
        assert (person_json["needed"], person_json["me"]["via"], person_json["me"]["person"]["name"]) == (
            False,
            "loopback",
            "owner",
        )
        assert (await api.client.get("/v1/me")).json()["person"]["role"] == "owner"


async def test_proxied_requests_need_sign_in(start_api: ApiFactory) -> None:
    async with start_api() as api:
        for header in ("x-forwarded-for", "forwarded", "x-real-ip"):
            assert (await api.client.get("/v1/me", headers={header: "127.0.0.1"})).status_code == 401
            key = {header: "127.0.0.1", "x-api-key": "any"}
            assert (await api.client.get("/v1/me", headers=key)).status_code == 401


async def test_first_password_requires_sign_in_and_signs_its_owner_in(start_api: ApiFactory) -> None:
    async with start_api() as api:
        response = await api.client.put("/v1/me/password", json={"new": SECRET})
        assert (response.status_code, response.json()["via"]) == (200, "session")
        cookie = response.headers["set-cookie"]
        for part in ("yearling_session=", "HttpOnly", "SameSite=lax", "Path=/"):
            assert part in cookie
        assert "Secure" not in cookie
        assert (await api.client.get("/v1/me")).json()["via"] == "session"  # with the session cookie
        api.client.cookies.clear()
        assert (await api.client.get("/v1/me")).status_code == 401
        assert (await api.client.get("/v1/me", headers={"x-api-key": "any"})).status_code == 401
        assert (await api.client.get("/v1/auth")).json()["needed"] is True


async def test_session_cookie_is_secure_behind_tls(start_api: ApiFactory) -> None:
    async with start_api(public_url="https://assistant.example") as api:
        response = await api.client.put("/v1/me/password", json={"new": SECRET}, headers={"host": "assistant.example"})
        assert "Secure" in response.headers["set-cookie"]


async def test_invitation_sign_up_sign_in_and_sign_out(start_api: ApiFactory) -> None:
    async with start_api() as api:
        refused = await api.client.post("/v1/invitations", json={})
        assert (refused.status_code, "password" in refused.json()["error"]["message"]) == (409, True)
        await api.client.put("/v1/me/password", json={"new": SECRET})
        created = (await api.client.post("/v1/invitations", json={"role": "reader", "note": "Ada"}, headers=SAME_ORIGIN)).json()
        assert created["link"] == f"http://127.0.0.1/signup#{created['token']}"
        api.client.cookies.clear()
        person_json = await api.client.post("/v1/auth/invitation", json={"invitation": created["token"]})
        assert person_json.json()["role"] == "reader"
        joined = await api.client.post(
            "/v1/auth/signup", json={"invitation": created["token"], "name": "Ada", "password": SECRET}
        )
        assert (joined.json()["person"]["name"], joined.json()["person"]["role"]) == ("Ada", "reader")
        again = {"invitation": created["token"], "name": "Eve", "password": SECRET}
        assert (await api.client.post("/v1/auth/signup", json=again, headers=SAME_ORIGIN)).status_code == 404
        assert (await api.client.post("/v1/auth/logout", headers=SAME_ORIGIN)).status_code == 200
        assert (await api.client.get("/v1/me")).status_code == 401
        wrong = await api.client.post("/v1/auth/login", json={"name": "Ada", "password": SECRET + "!"})
        unknown = await api.client.post("/v1/auth/login", json={"name": "Nobody", "password": SECRET})
        assert (wrong.status_code, wrong.json()) == (401, unknown.json())
        assert (await api.client.post("/v1/auth/login", json={"name": " Ada", "password": SECRET})).status_code == 200
        assert (await api.client.get("/v1/me")).json()["person"]["name"] == "Ada"
        actions = [entry.action for entry in api.store.audit.entries()]
        assert {"password.set", "invitation.create", "invitation.accept", "person.add", "session.open", "session.close"} <= {
            *actions
        }
        assert SECRET not in repr(api.store.audit.entries())
        assert created["token"] not in repr(api.store.audit.entries())


async def test_unknown_names_cost_the_same_work(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name costs the same work: one hash is verified in each case."""
    async with start_api() as api:
        checked: list[str] = []
        hasher = api.store.passwords._hasher
        monkeypatch.setattr(api.store.passwords, "_hasher", CountingHasher(hasher, checked))
        api.store.passwords.set(api.store.people.owner().id, SECRET, actor="test")
        for name in ("owner", "nobody", "owner", "nobody"):
            checked.clear()
            await api.client.post("/v1/auth/login", json={"name": name, "password": "something else"})
            assert len(checked) == 1
            assert checked[0].split("$")[:4] == hasher.hash("x").split("$")[:4]


class CountingHasher:
    """A hasher that records the hashes that it verifies."""

    def __init__(self, hasher: Any, checked: list[str]) -> None:
        self._hasher, self._checked = hasher, checked

    def hash(self, password: str) -> str:
        return str(self._hasher.hash(password))

    def verify(self, hashed: str, password: str) -> bool:
        self._checked.append(hashed)
        return bool(self._hasher.verify(hashed, password))

    def check_needs_rehash(self, hashed: str) -> bool:
        return bool(self._hasher.check_needs_rehash(hashed))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:8400"}, 403),
        ({"origin": "http://localhost"}, 403),
        ({"origin": "http://127.0.0.1", "sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.example"}, 403),
    ],
    ids=str,
)
async def test_cross_site_changes_with_a_cookie_are_rejected(start_api: ApiFactory, headers: dict[str, str], status: int) -> None:
    async with start_api() as api:
        set_owner_password(api.store)
        cookie = {"cookie": session_headers(api.store, "owner")["cookie"]}
        body = {"name": "mine", "scopes": ["read"]}
        assert (await api.client.get("/v1/me", headers=cookie)).status_code == 200
        assert (await api.client.post("/v1/keys", json=body, headers={**cookie, **headers})).status_code == status
        assert len(api.store.api_keys.list(api.store.people.owner().id)) == (status == 200)


async def test_two_session_cookies_count_as_none(start_api: ApiFactory) -> None:
    async with start_api() as api:
        set_owner_password(api.store)
        _, _ = add_person(api.store, "Eve")
        good, planted = (session_headers(api.store, name)["cookie"] for name in ("owner", "Eve"))
        assert (await api.client.get("/v1/me", headers={"cookie": f"{planted}; {good}"})).status_code == 401


async def test_key_is_limited_to_its_scopes(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, reads = (owner := api.store.people.owner()), key_headers(api.store, api.store.people.owner(), ["read"])
        chats = key_headers(api.store, owner, ["chat"])
        judges = key_headers(api.store, owner, ["feedback", "read"])
        body = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
        rating = {"item": "01900000-0000-7000-8000-000000000000", "value": 1}
        for headers, allowed in ((reads, "r"), (chats, "c"), (judges, "rf")):
            statuses = {
                "r": (await api.client.get("/v1/models", headers=headers)).status_code,
                "c": (await api.client.post("/v1/chat/completions", json=body, headers=headers)).status_code,
                "f": (await api.client.post("/v1/feedback/ratings", json=rating, headers=headers)).status_code,
                "a": (await api.client.get("/v1/keys", headers=headers)).status_code,
            }
            assert {name for name, status in statuses.items() if status != 403} == {*allowed}


async def test_key_is_shown_once_and_cannot_create_wider_keys(start_api: ApiFactory) -> None:
    async with start_api() as api:
        created = (await api.client.post("/v1/keys", json={"name": "laptop", "scopes": ["read", "admin"]})).json()
        assert created["key"].startswith(created["hint"])
        assert created["key"] not in (await api.client.get("/v1/keys")).text
        headers = {"authorization": f"Bearer {created['key']}"}
        wider = await api.client.post("/v1/keys", json={"name": "more", "scopes": ["chat"]}, headers=headers)
        assert wider.status_code == 403
        same = await api.client.post("/v1/keys", json={"name": "same", "scopes": ["read"]}, headers=headers)
        assert same.status_code == 200
        [sessions] = [key for key in (await api.client.get("/v1/keys")).json()["data"] if key["id"] == created["id"]]
        assert sessions["used_utc"] is not None
        assert (await api.client.delete(f"/v1/keys/{created['id']}")).status_code == 200
        set_owner_password(api.store)
        await refresh_access(api)
        assert (await api.client.get("/v1/me", headers=headers)).status_code == 401


async def test_expired_keys_and_sessions_are_rejected(start_api: ApiFactory) -> None:
    async with start_api() as api:
        set_owner_password(api.store)
        owner = api.store.people.owner()
        secret, key = api.store.api_keys.create(owner.id, "old", ["read"])
        cookie = session_headers(api.store, "owner")
        assert (await api.client.get("/v1/me", headers={"x-api-key": secret})).status_code == 200
        assert (await api.client.get("/v1/me", headers=cookie)).status_code == 200
        with api.store.database.write() as connection:
            connection.exec_driver_sql("UPDATE api_keys SET expires_utc = '2020-01-01T00:00:00.000000Z'")
            connection.exec_driver_sql("UPDATE sessions SET expires_utc = '2020-01-01T00:00:00.000000Z'")
        api.store.audit.append("test", "time.passes", key.id)
        await refresh_access(api)
        assert (await api.client.get("/v1/me", headers={"x-api-key": secret})).status_code == 401
        assert (await api.client.get("/v1/me", headers=cookie)).status_code == 401


@pytest.mark.parametrize(("role", "invites"), [("reader", ""), ("member", ""), ("maintainer", "rm"), ("owner", "rmMo")])
async def test_roles_that_can_be_invited(start_api: ApiFactory, role: Any, invites: str) -> None:
    async with start_api() as api:
        set_owner_password(api.store)
        headers = key_headers(api.store, api.store.people.add("Ada", role))
        for letter, invited_role in zip("rmMo", ("reader", "member", "maintainer", "owner"), strict=True):
            response = await api.client.post("/v1/invitations", json={"role": invited_role}, headers=headers)
            assert response.status_code == (200 if letter in invites else 403)


async def test_only_owners_change_roles_and_the_last_owner_stays(start_api: ApiFactory) -> None:
    async with start_api() as api:
        ada, as_ada = add_person(api.store, "Ada", "maintainer")
        ben, _ = add_person(api.store, "Ben", "reader")
        assert (await api.client.patch(f"/v1/people/{ben.id}", json={"role": "owner"}, headers=as_ada)).status_code == 403
        assert (await api.client.patch(f"/v1/people/{ada.id}", json={"role": "owner"})).json()["role"] == "owner"
        owner = api.store.people.owner()
        assert (await api.client.patch(f"/v1/people/{owner.id}", json={"role": "member"}, headers=as_ada)).status_code == 200
        assert (await api.client.patch(f"/v1/people/{ada.id}", json={"role": "member"}, headers=as_ada)).status_code == 409
        assert (await api.client.delete(f"/v1/people/{ada.id}", headers=as_ada)).status_code == 409


async def test_closed_account_cannot_be_used(start_api: ApiFactory) -> None:
    async with start_api() as api:
        set_owner_password(api.store)
        boss = key_headers(api.store, api.store.people.owner())
        ada, as_ada = add_person(api.store, "Ada")
        cookie = session_headers(api.store, "Ada")
        assert (await api.client.get("/v1/me", headers=as_ada)).status_code == 200
        assert (await api.client.delete(f"/v1/people/{ada.id}", headers=boss)).status_code == 200
        for headers in (as_ada, cookie):
            assert (await api.client.get("/v1/me", headers=headers)).status_code == 401
        person_json = (await api.client.get(f"/v1/people/{ada.id}", headers=boss)).json()
        assert person_json["closed_utc"] is not None


async def test_deleting_ones_account_needs_name_and_password(start_api: ApiFactory) -> None:
    async with start_api() as api:
        set_owner_password(api.store)
        ada, as_ada = add_person(api.store, "Ada")
        api.store.passwords.set(ada.id, SECRET, actor="test")
        conversation = api.store.conversations.create(ada.id, "Mine")

        async def leave(**body: str) -> httpx.Response:
            return await api.client.post("/v1/me/delete", json=body, headers=as_ada)

        assert (await leave(name="Adam")).status_code == 400
        assert (await leave(name="Ada")).json()["error"]["param"] == "password"
        assert (await leave(name="Ada", password="wrong one")).status_code == 401
        assert (await leave(name="Ada", password=SECRET)).status_code == 200
        assert (await api.client.get("/v1/me", headers=as_ada)).status_code == 401
        assert "Ada" not in {person.name for person in api.store.people.list()}
        assert api.store.conversations.list(ada.id) == []
        assert conversation.id


async def test_new_password_ends_other_sessions(start_api: ApiFactory) -> None:
    async with start_api() as api:
        owner = api.store.people.owner()
        api.store.passwords.set(owner.id, SECRET, actor="test")
        here, there = session_headers(api.store, "owner"), session_headers(api.store, "owner")
        assert (await api.client.put("/v1/me/password", json={"new": "another secret"}, headers=here)).status_code == 400
        body = {"old": SECRET, "new": "another secret"}
        assert (await api.client.put("/v1/me/password", json=body, headers=here)).status_code == 200
        assert (await api.client.get("/v1/me", headers=here)).status_code == 200
        assert (await api.client.get("/v1/me", headers=there)).status_code == 401


async def test_sessions_can_be_listed_and_ended(start_api: ApiFactory) -> None:
    async with start_api() as api:
        set_owner_password(api.store)
        here, there = session_headers(api.store, "owner"), session_headers(api.store, "owner")
        sessions = (await api.client.get("/v1/me/sessions", headers=here)).json()["data"]
        assert [session["current"] for session in sessions] == [False, True]
        assert (await api.client.delete(f"/v1/me/sessions/{sessions[0]['id']}", headers=here)).status_code == 200
        assert (await api.client.get("/v1/me", headers=there)).status_code == 401
        assert (await api.client.delete("/v1/me/sessions", headers=here)).json()["sessions"] == 0
        assert (await api.client.get("/v1/me", headers=here)).status_code == 200


async def test_use_extends_a_session(start_api: ApiFactory) -> None:
    async with start_api() as api:
        token, session = api.store.sessions.open(api.store.people.owner().id, method="test")
        with api.store.database.write() as connection:
            connection.exec_driver_sql("UPDATE sessions SET seen_utc = '2020-01-01T00:00:00.000000Z'")
        await api.client.get("/v1/me", headers={"cookie": f"yearling_session={token}"})
        [after] = api.store.sessions.list(session.person_id)
        assert after.seen_utc.date() == now_utc().date()
        assert after.expires_utc > session.expires_utc


async def test_secrets_are_stored_as_hashes(start_api: ApiFactory) -> None:
    async with start_api() as api:
        owner = api.store.people.owner()
        api.store.passwords.set(owner.id, SECRET, actor="test")
        token, _ = api.store.sessions.open(owner.id, method="test")
        key, _ = api.store.api_keys.create(owner.id, "key", ["read"])
        invitation, _ = api.store.invitations.create(owner)
        with api.store.database.read() as connection:
            tables = ("passwords", "sessions", "api_keys", "invitations", "audit_log")
            dump = repr([list(connection.exec_driver_sql(f"SELECT * FROM {table}")) for table in tables])
        for secret in (SECRET, token, key, invitation):
            assert secret not in dump
        assert "$argon2id$" in dump


async def test_log_contains_no_secrets_and_no_queries(start_api: ApiFactory) -> None:
    with capture_logs() as logs:
        async with start_api() as api:
            await api.client.put("/v1/me/password", json={"new": SECRET})
            invitation = (await api.client.post("/v1/invitations", json={}, headers=SAME_ORIGIN)).json()["token"]
            key = (await api.client.post("/v1/keys", json={"name": "k"}, headers=SAME_ORIGIN)).json()["key"]
            cookie = api.client.cookies["yearling_session"]
            api.client.cookies.clear()
            await api.client.get("/v1/me?secret=in-the-query", headers={"x-api-key": key})
            await api.client.get("/v1/me", headers={"x-api-key": key + "wrong"})
            await api.client.post("/v1/auth/signup", json={"invitation": invitation, "name": "Ada", "password": SECRET})
            await api.client.post("/v1/auth/login", json={"name": "my-password-by-mistake", "password": "x"}, headers=SAME_ORIGIN)
            await api.client.get("/v1/auth/oidc/callback?code=the-code&state=the-state")
    person_json = repr(logs)
    assert "/v1/auth/login" in person_json
    for secret in (SECRET, invitation, key, cookie, "in-the-query", "my-password-by-mistake", "the-code", "the-state"):
        assert secret not in person_json
