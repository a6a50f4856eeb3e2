"""Revoked access ends running requests: streams and answers of revoked keys, sessions, roles and accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory, RunningApi, on_a_socket
from yearling.api.access import registry as access
from yearling.api.access.live_request import Authentication
from yearling.config import Settings
from yearling.inference import FakeEngine, ScriptedAnswer
from yearling.records import Person
from yearling.store import Store

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
Revoke = Callable[[Store, Person], object]


def revoke_keys(store: Store, person: Person) -> None:
    for key in store.api_keys.list(person.id):
        store.api_keys.revoke(key.id, person_id=person.id)


REVOCATIONS: dict[str, Revoke] = {
    "the key is revoked": revoke_keys,
    "the role is lowered": lambda store, ada: store.people.set_role(ada.id, "reader", actor="test"),
    "the account is closed": lambda store, ada: store.people.close_account(ada.id, actor="test"),
    "the person is deleted": lambda store, ada: store.delete_person(ada.id, actor="test"),
    "all access is ended": lambda store, ada: store.people.revoke_access(ada.id, actor="test"),
}


@pytest.fixture(autouse=True)
def refresh_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refresh so often that no test waits long for changes by other processes."""
    monkeypatch.setattr(access, "REFRESH_INTERVAL_S", 0.05)


def endless_engine() -> FakeEngine:
    script = ScriptedAnswer("word ", delay_s=0.002, end_of_turn=False)
    return FakeEngine([script, script], context_tokens=1_000_000)


async def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition never became true")


async def wait_until_idle(engine: FakeEngine) -> None:
    """Wait until the engine generates nothing."""
    await wait_until(lambda: engine.active == 0)


@pytest.mark.slow
@pytest.mark.parametrize("ending", REVOCATIONS)
async def test_revoking_access_ends_streams(start_api: ApiFactory, ending: str) -> None:
    engine = endless_engine()
    async with start_api(engine, api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = add_person(api.store, "Ada")
        events = []
        async with (
            httpx.AsyncClient() as client,
            client.stream("POST", f"{address}/v1/chat/completions", json=CHAT | {"stream": True}, headers=headers) as response,
        ):
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 3 and not line:  # the change by this server
                    await asyncio.to_thread(
                        REVOCATIONS[ending], api.store, ada
                    )  # this server sees it as a change by another process
        assert events[-1]["error"]["code"] == "access_withdrawn"
        await wait_until_idle(engine)


@pytest.mark.slow
async def test_revoking_access_ends_answers_without_a_stream(start_api: ApiFactory) -> None:
    async with start_api(endless_engine(), api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = add_person(api.store, "Ada")
        async with httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.post(f"{address}/v1/chat/completions", json=CHAT, headers=headers))
            await wait_until(lambda: api.engine.active == 1)
            api.store.people.revoke_access(ada.id, actor="test")
            response = await asking
        assert (response.status_code, response.json()["error"]["code"]) == (401, "access_withdrawn")
        await wait_until_idle(api.engine)


async def test_watching_for_revocations_survives_any_exception(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start_api() as api:
        registry = api.app.state.services.access
        refresh, calls = registry.refresh, 0

        async def fail_twice() -> None:
            nonlocal calls
            calls += 1
            if calls <= 2:
                raise ZeroDivisionError("a bug")
            await refresh()

        monkeypatch.setattr(registry, "refresh", fail_twice)
        await wait_until(lambda: calls >= 4)


async def test_sign_out_ends_only_the_sessions_own_requests(start_api: ApiFactory) -> None:
    async with start_api(endless_engine(), api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = add_person(api.store, "Ada")
        tokens = [api.store.sessions.open(ada.id, method="test")[0] for _ in range(2)]
        cookies = [{"cookie": f"yearling_session={token}", "origin": address} for token in tokens]
        heard: dict[int, list[Any]] = {0: [], 1: []}

        async def listen(number: int) -> None:
            body = CHAT | {"stream": True}
            async with (
                httpx.AsyncClient() as client,
                client.stream("POST", f"{address}/v1/chat/completions", json=body, headers=cookies[number]) as response,
            ):
                async for line in response.aiter_lines():
                    if line:
                        heard[number].append(line)

        listeners = [asyncio.create_task(listen(number)) for number in heard]
        await wait_until(lambda: min(len(lines) for lines in heard.values()) >= 3)
        async with httpx.AsyncClient() as client:
            assert (await client.post(f"{address}/v1/auth/logout", headers=cookies[0])).status_code == 200
        await listeners[0]
        assert "access_withdrawn" in heard[0][-1]
        so_far = len(heard[1])
        await wait_until(lambda: len(heard[1]) >= so_far + 5)  # the other stream continues
        listeners[1].cancel()
        assert headers


@pytest.mark.slow
async def test_expired_session_ends_its_streams(start_api: ApiFactory) -> None:
    async with start_api(endless_engine(), api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = add_person(api.store, "Ada")
        lines = []
        async with (
            httpx.AsyncClient() as client,
            client.stream("POST", f"{address}/v1/chat/completions", json=CHAT | {"stream": True}, headers=headers) as response,
        ):
            async for line in response.aiter_lines():
                lines.append(line)
                if len(lines) == 3:
                    for live in api.app.state.services.access._live_requests:
                        past = api.store.people.owner().created_utc
                        live.authentication = Authentication(caller=live.authentication.caller, expires_utc=past)
        assert any("access_withdrawn" in line for line in lines)
        assert ada


async def test_revoking_ones_own_key_is_answered(start_api: ApiFactory) -> None:
    async with start_api(api_keys=("boss",)) as api:
        ada = api.store.people.add("Ada")
        headers = key_headers(api.store, ada)
        [key] = api.store.api_keys.list(ada.id)
        assert (await api.client.delete(f"/v1/keys/{key.id}", headers=headers)).status_code == 200
        assert (await api.client.get("/v1/me", headers=headers)).status_code == 401


async def test_changes_by_another_process_take_effect(start_api: ApiFactory) -> None:
    """The command line changes the same database: the owner's first password makes a running server require sign-in."""
    async with start_api() as api:
        assert (await api.client.get("/v1/me")).status_code == 200
        with Store.open(Settings(data_dir=api.settings.data_dir)) as other:
            other.passwords.set(other.people.owner().id, "a new password", actor="test")
        for _ in range(500):
            if (await api.client.get("/v1/me")).status_code == 401:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the door is open")


async def test_changes_by_this_server_take_effect_at_once(start_api: ApiFactory) -> None:
    async with start_api(api_keys=("boss",)) as api:
        ada, headers = add_person(api.store, "Ada")
        boss = {"x-api-key": "boss"}
        assert (await api.client.get("/v1/me", headers=headers)).json()["person"]["role"] == "member"
        await api.client.patch(f"/v1/people/{ada.id}", json={"role": "reader"}, headers=boss)
        assert (await api.client.get("/v1/me", headers=headers)).json()["person"]["role"] == "reader"
        assert (await chat(api, headers)).status_code == 403


async def chat(api: RunningApi, headers: dict[str, str]) -> httpx.Response:
    return await api.client.post("/v1/chat/completions", json=CHAT, headers=headers)
