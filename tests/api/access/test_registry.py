"""What goes on by a right that has gone is ended: streams and answers of revoked keys, sessions, roles and accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.acting import key_of, newcomer
from tests.api.conftest import Bench, Maker, on_a_socket
from yearling.api.access import registry as access
from yearling.config import Settings
from yearling.inference import FakeEngine, ScriptedAnswer
from yearling.records import Person
from yearling.store import Store

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
Revoke = Callable[[Store, Person], object]

ENDINGS: dict[str, Revoke] = {
    "the key is revoked": lambda store, ada: [
        store.api_keys.revoke(key.id, person_id=ada.id) for key in store.api_keys.list(ada.id)
    ],
    "the role is lowered": lambda store, ada: store.people.set_role(ada.id, "reader", actor="test"),
    "the account is closed": lambda store, ada: store.people.close_account(ada.id, actor="test"),
    "the person is deleted": lambda store, ada: store.delete_person(ada.id, actor="test"),
    "all access is ended": lambda store, ada: store.people.revoke_access(ada.id, actor="test"),
}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other processes did is looked for so often that no test waits long."""
    monkeypatch.setattr(access, "REFRESH_INTERVAL_S", 0.05)


def endless() -> FakeEngine:
    script = ScriptedAnswer("word ", delay_s=0.002, end_of_turn=False)
    return FakeEngine([script, script], context_tokens=1_000_000)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


async def ended(engine: FakeEngine) -> None:
    """Returns when nothing is generated any more."""
    await until(lambda: engine.active == 0)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_stream_ends_with_the_right_to_it(bench: Maker, ending: str) -> None:
    engine = endless()
    async with bench(engine, api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = newcomer(api.store, "Ada")
        events = []
        async with (
            httpx.AsyncClient() as client,
            client.stream("POST", f"{address}/v1/chat/completions", json=CHAT | {"stream": True}, headers=headers) as reply,
        ):
            async for line in reply.aiter_lines():
                if line.startswith("data: "):
                    events.append(json.loads(line.removeprefix("data: ")))
                if len(events) == 3 and not line:  # once
                    await asyncio.to_thread(ENDINGS[ending], api.store, ada)  # by another process, as far as this server knows
        assert events[-1]["error"]["code"] == "access_withdrawn"
        await ended(engine)


@pytest.mark.slow
async def test_an_answer_that_is_not_streamed_ends_too(bench: Maker) -> None:
    async with bench(endless(), api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = newcomer(api.store, "Ada")
        async with httpx.AsyncClient() as client:
            asking = asyncio.create_task(client.post(f"{address}/v1/chat/completions", json=CHAT, headers=headers))
            await until(lambda: api.engine.active == 1)
            api.store.people.revoke_access(ada.id, actor="test")
            reply = await asking
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "access_withdrawn")
        await ended(api.engine)


async def test_signing_out_ends_what_the_session_started_and_nothing_else(bench: Maker) -> None:
    async with bench(endless(), api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = newcomer(api.store, "Ada")
        tokens = [api.store.sessions.open(ada.id, method="test")[0] for _ in range(2)]
        cookies = [{"cookie": f"yearling_session={token}", "origin": address} for token in tokens]
        heard: dict[int, list[Any]] = {0: [], 1: []}

        async def listen(number: int) -> None:
            body = CHAT | {"stream": True}
            async with (
                httpx.AsyncClient() as client,
                client.stream("POST", f"{address}/v1/chat/completions", json=body, headers=cookies[number]) as reply,
            ):
                async for line in reply.aiter_lines():
                    if line:
                        heard[number].append(line)

        listeners = [asyncio.create_task(listen(number)) for number in heard]
        await until(lambda: min(len(lines) for lines in heard.values()) >= 3)
        async with httpx.AsyncClient() as client:
            assert (await client.post(f"{address}/v1/auth/logout", headers=cookies[0])).status_code == 200
        await listeners[0]
        assert "access_withdrawn" in heard[0][-1]
        so_far = len(heard[1])
        await until(lambda: len(heard[1]) >= so_far + 5)  # the other goes on
        listeners[1].cancel()
        assert headers


@pytest.mark.slow
async def test_a_session_that_runs_out_ends_its_streams(bench: Maker) -> None:
    async with bench(endless(), api_keys=("boss",)) as api, on_a_socket(api.app) as address:
        ada, headers = newcomer(api.store, "Ada")
        lines = []
        async with (
            httpx.AsyncClient() as client,
            client.stream("POST", f"{address}/v1/chat/completions", json=CHAT | {"stream": True}, headers=headers) as reply,
        ):
            async for line in reply.aiter_lines():
                lines.append(line)
                if len(lines) == 3:
                    for live in api.app.state.services.access._live_requests:
                        past = api.store.people.owner().created_utc
                        live.authentication = access.Authentication(caller=live.authentication.caller, expires_utc=past)
        assert any("access_withdrawn" in line for line in lines)
        assert ada


async def test_who_revokes_the_own_key_still_gets_the_answer(bench: Maker) -> None:
    async with bench(api_keys=("boss",)) as api:
        ada = api.store.people.add("Ada")
        headers = key_of(api.store, ada)
        [key] = api.store.api_keys.list(ada.id)
        assert (await api.client.delete(f"/v1/keys/{key.id}", headers=headers)).status_code == 200
        assert (await api.client.get("/v1/me", headers=headers)).status_code == 401


async def test_a_second_process_is_noticed(bench: Maker) -> None:
    """The command line changes the same database: its owner's first password closes the door of a server that runs."""
    async with bench() as api:
        assert (await api.client.get("/v1/me")).status_code == 200
        with Store.open(Settings(data_dir=api.settings.data_dir)) as other:
            other.passwords.set(other.people.owner().id, "a new password", actor="test")
        for _ in range(500):
            if (await api.client.get("/v1/me")).status_code == 401:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the door is open")


async def test_what_is_remembered_is_forgotten_at_once_in_this_server(bench: Maker) -> None:
    async with bench(api_keys=("boss",)) as api:
        ada, headers = newcomer(api.store, "Ada")
        boss = {"x-api-key": "boss"}
        assert (await api.client.get("/v1/me", headers=headers)).json()["person"]["role"] == "member"
        await api.client.patch(f"/v1/people/{ada.id}", json={"role": "reader"}, headers=boss)
        assert (await api.client.get("/v1/me", headers=headers)).json()["person"]["role"] == "reader"
        assert (await chat(api, headers)).status_code == 403


async def chat(api: Bench, headers: dict[str, str]) -> httpx.Response:
    return await api.client.post("/v1/chat/completions", json=CHAT, headers=headers)
