"""Signing in and up, sessions, keys, roles: what a browser and a client go through."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.api.acting import key_of, newcomer
from tests.api.conftest import Bench, Maker
from yearling.clock import now_utc
from yearling.store import Store

SECRET = "correct horse battery"
PAGE = {"origin": "http://127.0.0.1"}


def has_password(store: Store, name: str = "owner") -> None:
    """Without the work of hashing, for tests that do not sign in by it."""
    with store.database.write() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO passwords SELECT id, '$argon2id$none', '2026-01-01T00:00:00.000000Z' FROM people WHERE name = '{name}'"
        )


async def fresh(api: Bench) -> Bench:
    """With the server's own look at what a test has changed in the store."""
    await api.app.state.services.access.refresh()
    return api


def signed_in(store: Store, name: str) -> dict[str, str]:
    """The cookie of a new session, and what a browser tells of its own page."""
    token, _ = store.sessions.open(store.people.get_by_name(name).id, method="test")
    return {"cookie": f"yearling_session={token}", **PAGE}


async def test_a_single_person_on_loopback_needs_no_login(bench: Maker) -> None:
    async with bench() as api:
        told = (await api.client.get("/v1/auth")).json()
        assert (told["needed"], told["me"]["via"], told["me"]["person"]["name"]) == (False, "loopback", "owner")
        assert (await api.client.get("/v1/me")).json()["person"]["role"] == "owner"


async def test_what_a_proxy_lets_in_is_not_the_single_person(bench: Maker) -> None:
    async with bench() as api:
        for header in ("x-forwarded-for", "forwarded", "x-real-ip"):
            assert (await api.client.get("/v1/me", headers={header: "127.0.0.1"})).status_code == 401
            key = {header: "127.0.0.1", "x-api-key": "any"}
            assert (await api.client.get("/v1/me", headers=key)).status_code == 401


async def test_the_first_password_closes_the_door_and_keeps_its_setter_inside(bench: Maker) -> None:
    async with bench() as api:
        reply = await api.client.put("/v1/me/password", json={"new": SECRET})
        assert (reply.status_code, reply.json()["via"]) == (200, "session")
        cookie = reply.headers["set-cookie"]
        for part in ("yearling_session=", "HttpOnly", "SameSite=lax", "Path=/"):
            assert part in cookie
        assert "Secure" not in cookie
        assert (await api.client.get("/v1/me")).json()["via"] == "session"  # by the cookie
        api.client.cookies.clear()
        assert (await api.client.get("/v1/me")).status_code == 401
        assert (await api.client.get("/v1/me", headers={"x-api-key": "any"})).status_code == 401
        assert (await api.client.get("/v1/auth")).json()["needed"] is True


async def test_behind_tls_the_cookie_is_for_tls_only(bench: Maker) -> None:
    async with bench(public_url="https://assistant.example") as api:
        reply = await api.client.put("/v1/me/password", json={"new": SECRET}, headers={"host": "assistant.example"})
        assert "Secure" in reply.headers["set-cookie"]


async def test_invited_signed_up_signed_in_and_out(bench: Maker) -> None:
    async with bench() as api:
        refused = await api.client.post("/v1/invitations", json={})
        assert (refused.status_code, "password" in refused.json()["error"]["message"]) == (409, True)
        await api.client.put("/v1/me/password", json={"new": SECRET})
        made = (await api.client.post("/v1/invitations", json={"role": "reader", "note": "Ada"}, headers=PAGE)).json()
        assert made["link"] == f"http://127.0.0.1/signup#{made['token']}"
        api.client.cookies.clear()
        told = await api.client.post("/v1/auth/invitation", json={"invitation": made["token"]})
        assert told.json()["role"] == "reader"
        joined = await api.client.post("/v1/auth/signup", json={"invitation": made["token"], "name": "Ada", "password": SECRET})
        assert (joined.json()["person"]["name"], joined.json()["person"]["role"]) == ("Ada", "reader")
        again = {"invitation": made["token"], "name": "Eve", "password": SECRET}
        assert (await api.client.post("/v1/auth/signup", json=again, headers=PAGE)).status_code == 404
        assert (await api.client.post("/v1/auth/logout", headers=PAGE)).status_code == 200
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
        assert made["token"] not in repr(api.store.audit.entries())


async def test_who_is_known_is_not_told_by_which_name_is_refused(bench: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work is done for an unknown name: one hash is checked, whoever asks."""
    async with bench() as api:
        checked: list[str] = []
        hasher = api.store.passwords._hasher
        monkeypatch.setattr(api.store.passwords, "_hasher", Counting(hasher, checked))
        api.store.passwords.set(api.store.people.owner().id, SECRET, actor="test")
        for name in ("owner", "nobody", "owner", "nobody"):
            checked.clear()
            await api.client.post("/v1/auth/login", json={"name": name, "password": "something else"})
            assert len(checked) == 1
            assert checked[0].split("$")[:4] == hasher.hash("x").split("$")[:4]


class Counting:
    """A hasher that notes which hashes it checked."""

    def __init__(self, hasher: Any, checked: list[str]) -> None:
        self._hasher, self._checked = hasher, checked

    def hash(self, password: str) -> str:
        return str(self._hasher.hash(password))

    def verify(self, hashed: str, password: str) -> bool:
        self._checked.append(hashed)
        return bool(self._hasher.verify(hashed, password))

    def check_needs_rehash(self, hashed: str) -> bool:
        return bool(self._hasher.check_needs_rehash(hashed))


async def test_guesses_are_limited_by_name_and_by_address(bench: Maker) -> None:
    async with bench(login_attempts=3, trusted_proxies=("127.0.0.1",)) as api:
        has_password(api.store)

        async def guess(name: str, address: str) -> int:
            body = {"invitation": "guess"} if not name else {"name": name, "password": "guess"}
            path = "login" if name else "invitation"
            reply = await api.client.post(f"/v1/auth/{path}", json=body, headers={"x-forwarded-for": address})
            return reply.status_code

        assert [await guess("", "192.0.2.1") for _ in range(4)] == [404, 404, 404, 429]
        assert await guess("", "192.0.2.2") == 404
        assert [await guess("Nobody", f"192.0.2.{n}") for n in range(10, 14)] == [401, 401, 401, 429]
        assert await guess("NOBODY", "192.0.2.20") == 429
        reply = await api.client.post(
            "/v1/auth/login", json={"name": "nobody", "password": "guess"}, headers={"x-forwarded-for": "192.0.2.30"}
        )
        assert int(reply.headers["retry-after"]) >= 60


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
async def test_pages_of_others_change_nothing_by_a_cookie(bench: Maker, headers: dict[str, str], status: int) -> None:
    async with bench() as api:
        has_password(api.store)
        cookie = {"cookie": signed_in(api.store, "owner")["cookie"]}
        body = {"name": "mine", "scopes": ["read"]}
        assert (await api.client.get("/v1/me", headers=cookie)).status_code == 200
        assert (await api.client.post("/v1/keys", json=body, headers={**cookie, **headers})).status_code == status
        assert len(api.store.api_keys.list(api.store.people.owner().id)) == (status == 200)


async def test_a_planted_second_cookie_is_none(bench: Maker) -> None:
    async with bench() as api:
        has_password(api.store)
        _, _ = newcomer(api.store, "Eve")
        good, planted = (signed_in(api.store, name)["cookie"] for name in ("owner", "Eve"))
        assert (await api.client.get("/v1/me", headers={"cookie": f"{planted}; {good}"})).status_code == 401


async def test_a_key_does_what_its_scopes_say_and_no_more(bench: Maker) -> None:
    async with bench() as api:
        _, reads = (owner := api.store.people.owner()), key_of(api.store, api.store.people.owner(), ["read"])
        chats = key_of(api.store, owner, ["chat"])
        judges = key_of(api.store, owner, ["feedback", "read"])
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


async def test_a_key_is_told_once_and_makes_none_that_is_wider(bench: Maker) -> None:
    async with bench() as api:
        made = (await api.client.post("/v1/keys", json={"name": "laptop", "scopes": ["read", "admin"]})).json()
        assert made["key"].startswith(made["hint"])
        assert made["key"] not in (await api.client.get("/v1/keys")).text
        headers = {"authorization": f"Bearer {made['key']}"}
        wider = await api.client.post("/v1/keys", json={"name": "more", "scopes": ["chat"]}, headers=headers)
        assert wider.status_code == 403
        same = await api.client.post("/v1/keys", json={"name": "same", "scopes": ["read"]}, headers=headers)
        assert same.status_code == 200
        [listed] = [key for key in (await api.client.get("/v1/keys")).json()["data"] if key["id"] == made["id"]]
        assert listed["used_utc"] is not None
        assert (await api.client.delete(f"/v1/keys/{made['id']}")).status_code == 200
        has_password(api.store)
        await fresh(api)
        assert (await api.client.get("/v1/me", headers=headers)).status_code == 401


async def test_keys_and_sessions_end_when_their_time_is_over(bench: Maker) -> None:
    async with bench() as api:
        has_password(api.store)
        owner = api.store.people.owner()
        secret, key = api.store.api_keys.create(owner.id, "old", ["read"])
        cookie = signed_in(api.store, "owner")
        assert (await api.client.get("/v1/me", headers={"x-api-key": secret})).status_code == 200
        assert (await api.client.get("/v1/me", headers=cookie)).status_code == 200
        with api.store.database.write() as connection:
            connection.exec_driver_sql("UPDATE api_keys SET expires_utc = '2020-01-01T00:00:00.000000Z'")
            connection.exec_driver_sql("UPDATE sessions SET expires_utc = '2020-01-01T00:00:00.000000Z'")
        api.store.audit.append("test", "time.passes", key.id)
        await fresh(api)
        assert (await api.client.get("/v1/me", headers={"x-api-key": secret})).status_code == 401
        assert (await api.client.get("/v1/me", headers=cookie)).status_code == 401


@pytest.mark.parametrize(("role", "invites"), [("reader", ""), ("member", ""), ("maintainer", "rm"), ("owner", "rmMo")])
async def test_who_may_invite_whom(bench: Maker, role: Any, invites: str) -> None:
    async with bench() as api:
        has_password(api.store)
        headers = key_of(api.store, api.store.people.add("Ada", role))
        for letter, wanted in zip("rmMo", ("reader", "member", "maintainer", "owner"), strict=True):
            reply = await api.client.post("/v1/invitations", json={"role": wanted}, headers=headers)
            assert reply.status_code == (200 if letter in invites else 403)


async def test_only_owners_change_roles_and_one_owner_stays(bench: Maker) -> None:
    async with bench() as api:
        ada, as_ada = newcomer(api.store, "Ada", "maintainer")
        ben, _ = newcomer(api.store, "Ben", "reader")
        assert (await api.client.patch(f"/v1/people/{ben.id}", json={"role": "owner"}, headers=as_ada)).status_code == 403
        assert (await api.client.patch(f"/v1/people/{ada.id}", json={"role": "owner"})).json()["role"] == "owner"
        owner = api.store.people.owner()
        assert (await api.client.patch(f"/v1/people/{owner.id}", json={"role": "member"}, headers=as_ada)).status_code == 200
        assert (await api.client.patch(f"/v1/people/{ada.id}", json={"role": "member"}, headers=as_ada)).status_code == 409
        assert (await api.client.delete(f"/v1/people/{ada.id}", headers=as_ada)).status_code == 409


async def test_a_closed_account_gets_nobody_in(bench: Maker) -> None:
    async with bench() as api:
        has_password(api.store)
        boss = key_of(api.store, api.store.people.owner())
        ada, as_ada = newcomer(api.store, "Ada")
        cookie = signed_in(api.store, "Ada")
        assert (await api.client.get("/v1/me", headers=as_ada)).status_code == 200
        assert (await api.client.delete(f"/v1/people/{ada.id}", headers=boss)).status_code == 200
        for headers in (as_ada, cookie):
            assert (await api.client.get("/v1/me", headers=headers)).status_code == 401
        told = (await api.client.get(f"/v1/people/{ada.id}", headers=boss)).json()
        assert told["closed_utc"] is not None


async def test_deleting_oneself_takes_the_name_and_the_password(bench: Maker) -> None:
    async with bench() as api:
        has_password(api.store)
        ada, as_ada = newcomer(api.store, "Ada")
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


async def test_a_new_password_ends_the_other_sessions(bench: Maker) -> None:
    async with bench() as api:
        owner = api.store.people.owner()
        api.store.passwords.set(owner.id, SECRET, actor="test")
        here, there = signed_in(api.store, "owner"), signed_in(api.store, "owner")
        assert (await api.client.put("/v1/me/password", json={"new": "another secret"}, headers=here)).status_code == 400
        body = {"old": SECRET, "new": "another secret"}
        assert (await api.client.put("/v1/me/password", json=body, headers=here)).status_code == 200
        assert (await api.client.get("/v1/me", headers=here)).status_code == 200
        assert (await api.client.get("/v1/me", headers=there)).status_code == 401


async def test_one_sees_and_ends_ones_sessions(bench: Maker) -> None:
    async with bench() as api:
        has_password(api.store)
        here, there = signed_in(api.store, "owner"), signed_in(api.store, "owner")
        listed = (await api.client.get("/v1/me/sessions", headers=here)).json()["data"]
        assert [one["current"] for one in listed] == [False, True]
        assert (await api.client.delete(f"/v1/me/sessions/{listed[0]['id']}", headers=here)).status_code == 200
        assert (await api.client.get("/v1/me", headers=there)).status_code == 401
        assert (await api.client.delete("/v1/me/sessions", headers=here)).json()["sessions"] == 0
        assert (await api.client.get("/v1/me", headers=here)).status_code == 200


async def test_a_session_slides_and_still_ends(bench: Maker) -> None:
    async with bench() as api:
        token, session = api.store.sessions.open(api.store.people.owner().id, method="test")
        with api.store.database.write() as connection:
            connection.exec_driver_sql("UPDATE sessions SET seen_utc = '2020-01-01T00:00:00.000000Z'")
        await api.client.get("/v1/me", headers={"cookie": f"yearling_session={token}"})
        [after] = api.store.sessions.list(session.person_id)
        assert after.seen_utc.date() == now_utc().date()
        assert after.expires_utc > session.expires_utc


async def test_nothing_secret_is_stored_in_clear(bench: Maker) -> None:
    async with bench() as api:
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


async def test_no_secret_and_no_query_reaches_the_log(bench: Maker) -> None:
    with capture_logs() as logs:
        async with bench() as api:
            await api.client.put("/v1/me/password", json={"new": SECRET})
            invitation = (await api.client.post("/v1/invitations", json={}, headers=PAGE)).json()["token"]
            key = (await api.client.post("/v1/keys", json={"name": "k"}, headers=PAGE)).json()["key"]
            cookie = api.client.cookies["yearling_session"]
            api.client.cookies.clear()
            await api.client.get("/v1/me?secret=in-the-query", headers={"x-api-key": key})
            await api.client.get("/v1/me", headers={"x-api-key": key + "wrong"})
            await api.client.post("/v1/auth/signup", json={"invitation": invitation, "name": "Ada", "password": SECRET})
            await api.client.post("/v1/auth/login", json={"name": "my-password-by-mistake", "password": "x"}, headers=PAGE)
            await api.client.get("/v1/auth/oidc/callback?code=the-code&state=the-state")
    told = repr(logs)
    assert "/v1/auth/login" in told
    for secret in (SECRET, invitation, key, cookie, "in-the-query", "my-password-by-mistake", "the-code", "the-state"):
        assert secret not in told
