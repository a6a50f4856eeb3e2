"""Two people on every route: what is one's own is not there for anybody else, whatever their role.

The routes come from the application's own OpenAPI schema; one that `routes.py` does not know fails the suite. Everything private
of Ada's carries a mark, which must not turn up in any answer to anybody else. That the ids in use are the right ones is proven at
the end: Ada calls the same routes with them, and is answered.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.api.acting import key_of, newcomer
from tests.api.conftest import Bench, Maker
from tests.api.routes import ROUTES, UNKNOWN, Route
from yearling.inference import FakeEngine
from yearling.records import KEY_SCOPES, PERSON_ROLES, Person, PersonRole, role_rank
from yearling.store import Store

MARK = "adas-own-words"
_FURNISHED = 10
"""Answers that Ada gets before anybody else asks anything."""

_TABLES = (
    "conversations",
    "samples",
    "folders",
    "shares",
    "ended_shares",
    "comparisons",
    "texts",
    "memories",
    "api_keys",
    "sessions",
    "people",
)


@dataclass
class World:
    """A server with accounts; `ids` are Ada's objects."""

    api: Bench
    ada: Person
    as_ada: dict[str, str]
    others: dict[PersonRole, dict[str, str]]
    ids: dict[str, str] = field(default_factory=dict)

    async def call(self, route: Route, headers: dict[str, str], ids: dict[str, str] | None = None) -> httpx.Response:
        ids = self.ids if ids is None else ids
        body = route.body(ids) if route.body else None
        return await self.api.client.request(route.method, route.address(ids), json=body, headers=headers)

    async def post(self, path: str, **body: Any) -> Any:
        reply = await self.api.client.post(path, json=body, headers=self.as_ada)
        assert reply.status_code == 200, reply.text
        return reply.json()


@asynccontextmanager
async def world(bench: Maker) -> AsyncGenerator[World, None]:
    engine = FakeEngine([*[f"Answer {n}: {MARK}." for n in range(_FURNISHED)], *[f"Answer {n}." for n in range(500)]])
    async with bench(engine, api_keys=("the-setting",), comparison_rate=0) as api:
        ada, as_ada = newcomer(api.store, "Ada")
        others = {role: newcomer(api.store, f"Other {role}", role)[1] for role in PERSON_ROLES}
        made = World(api, ada, as_ada, others)
        await furnish(made)
        assert len(engine.requests) == _FURNISHED, "what comes after these answers is not Ada's"
        yield made


async def furnish(made: World) -> None:
    """Something of every kind that a person can have."""
    ids, store = made.ids, made.api.store
    ids["person"] = made.ada.id
    ids["folder"] = (await made.post("/v1/folders", name=f"Folder {MARK}"))["id"]
    ids["response"] = (await made.post("/v1/responses", model="fake-model", input=f"Question {MARK}"))["id"]
    for name in ("sample", "left_sample", "right_sample", "edit_sample", "note_sample", "event_sample"):
        messages = [{"role": "user", "content": f"Question {MARK}"}]
        ids[name] = (await made.post("/v1/chat/completions", model="fake-model", messages=messages))["id"]
    ids["event"] = (await made.post("/v1/feedback/ratings", item=ids["event_sample"], value=1))["id"]
    ids["conversation"] = (await made.post("/v1/conversations", title=f"Title {MARK}"))["id"]
    question = await turn(made, text=f"Question {MARK}", compare=False)
    ids["turn"] = question
    ids["answer"] = answers(store, made)[-1]
    await turn(made, text=f"Question {MARK}", compare=True, message=ids["answer"])
    ids["comparison"] = tree(store, made)["comparisons"][0]
    ids["memory"] = (await made.post("/v1/memories", text=f"Likes {MARK}"))["id"]
    ids["share"] = (await made.post("/v1/shares", conversation=ids["conversation"]))["id"]
    await made.api.client.patch("/v1/settings", json={"instructions": f"Know {MARK}"}, headers=made.as_ada)
    await bring_file(made)
    ids["key"] = store.api_keys.create(made.ada.id, f"Key {MARK}", ["read"])[1].id
    ids["session"] = store.sessions.open(made.ada.id, method="test", agent=f"Browser {MARK}")[1].id


PICTURE = b"\x89PNG\r\n\x1a\n" + MARK.encode()


def with_picture(title: str) -> bytes:
    """An export of another program with a picture in its one message."""
    url = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    node = {"id": "m", "parentId": None, "role": "user", "content": "", "files": [{"type": "image", "url": url}]}
    chat = {"title": title, "history": {"messages": {"m": node}, "currentId": "m"}}
    return json.dumps([{"id": title, "title": title, "chat": chat, "created_at": 1700000000}]).encode()


async def bring_file(made: World) -> None:
    reply = await made.api.client.post("/v1/import", content=with_picture(f"Picture {MARK}"), headers=made.as_ada)
    assert reply.json()["blobs"] == 1, reply.text
    one = next(one for one in made.api.store.conversations.list(made.ada.id) if one.origin)
    message = made.api.store.conversations.list_messages(one.id, person_id=made.ada.id)[0]
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    made.ids |= {"file_conversation": one.id, "file_message": message.id, "file": sha256}


async def turn(made: World, **body: Any) -> str:
    """The id of a turn that has ended."""
    turn_id = str((await made.post(f"/v1/conversations/{made.ids['conversation']}/turns", **body))["id"])
    for _ in range(500):
        told = (await made.api.client.get(f"/v1/turns/{turn_id}", headers=made.as_ada)).json()
        if told["state"] != "running":
            return turn_id
        await asyncio.sleep(0.01)
    raise AssertionError(told)


def answers(store: Store, made: World) -> list[str]:
    messages = store.conversations.list_messages(made.ids["conversation"], person_id=made.ada.id)
    return [message.id for message in messages if message.role == "assistant"]


def tree(store: Store, made: World) -> dict[str, list[str]]:
    found = store.comparisons.list_for_conversation(made.ids["conversation"], person_id=made.ada.id)
    return {"comparisons": [one.id for one in found]}


def documented(api: Bench) -> set[str]:
    paths = api.app.openapi()["paths"]
    return {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}


def dump(store: Store, person_id: str) -> str:
    """Everything that is stored of a person, but when their keys and sessions were last used."""
    found: dict[str, Any] = {}
    with store.database.read() as connection:
        for table in _TABLES:
            column = "id" if table == "people" else "person_id"
            rows = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE {column} = ?", (person_id,))
            found[table] = [
                {name: repr(value) for name, value in row._mapping.items() if name not in ("used_utc", "seen_utc", "expires_utc")}
                for row in rows
            ]
        own = "SELECT m.* FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.person_id = ?"
        found["messages"] = [repr(row) for row in connection.exec_driver_sql(own, (person_id,))]
    return json.dumps(found, sort_keys=True)


async def test_every_route_is_known_here(bench: Maker) -> None:
    async with bench() as api:
        known = [route.key for route in ROUTES]
        assert len(known) == len(set(known))
        assert documented(api) - set(known) == set(), "say in tests/api/routes.py whose these are"
        assert set(known) - documented(api) == set(), "these are gone"


def complaint(route: Route, who: str, reply: httpx.Response) -> str:
    return f"{route.key} as {who}: {reply.status_code} {reply.text[:200]}"


async def test_nobody_reaches_what_is_somebody_elses(bench: Maker) -> None:
    async with world(bench) as made:
        before, leaks, tried = dump(made.api.store, made.ada.id), [], 0
        nothing = dict.fromkeys(made.ids, UNKNOWN)
        for route in ROUTES:
            for role, headers in made.others.items():
                reply = await made.call(route, headers)
                tried += 1
                if MARK in words_of(reply):
                    leaks.append(complaint(route, role, reply))
                if route.reach != "owned":
                    continue
                allowed = role_rank(role) >= role_rank(route.least or "reader")
                if reply.status_code != (404 if allowed else 403):
                    leaks.append(complaint(route, role, reply))
                if role != "member":
                    continue
                # Somebody else's object is refused in the words for one that never was.
                never = await made.call(route, headers, {**nothing})
                if (never.status_code, shape(never, nothing)) != (reply.status_code, shape(reply, made.ids)):
                    leaks.append(f"{complaint(route, role, reply)} but for an unknown one {never.status_code} {never.text[:200]}")
        assert leaks == []
        assert dump(made.api.store, made.ada.id) == before
        assert MARK in words_of(await made.api.client.get("/v1/export", headers=made.as_ada))
        assert tried == len(ROUTES) * len(PERSON_ROLES)


@pytest.mark.slow
async def test_the_same_file_of_two_people_goes_with_neither_of_them(bench: Maker) -> None:
    """What both have lies there once; each has it by their own message, until they delete that."""
    async with world(bench) as made:
        ben, ids = made.others["member"], made.ids
        await made.api.client.post("/v1/import", content=with_picture("Ben's"), headers=ben)
        listed = (await made.api.client.get("/v1/conversations", headers=ben)).json()["data"]
        shown = (await made.api.client.get(f"/v1/conversations/{listed[0]['id']}", headers=ben)).json()["tree"][0]
        path = shown["attachments"][0]["path"]
        assert (await made.api.client.get(path, headers=ben)).content == PICTURE
        assert (await made.api.client.get(path, headers=made.as_ada)).status_code == 404
        await made.api.client.delete(f"/v1/conversations/{ids['file_conversation']}", headers=made.as_ada)
        assert (await made.api.client.get(path, headers=ben)).content == PICTURE
        await made.api.client.delete(f"/v1/conversations/{listed[0]['id']}", headers=ben)
        assert hashlib.sha256(PICTURE).hexdigest() not in dict(made.api.store.blobs.iter_sizes())


def words_of(reply: httpx.Response) -> str:
    """What an answer says, in the files of an archive too."""
    if reply.headers.get("content-type") != "application/zip":
        return reply.text
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        return "".join(archive.read(name).decode("utf-8", "replace") for name in archive.namelist())


def shape(reply: httpx.Response, ids: dict[str, str]) -> str:
    """A refusal without the ids that it repeats."""
    text = reply.text
    for value in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(value, "ID").replace(value.removeprefix("chatcmpl-"), "ID")
    return text


@pytest.mark.slow
async def test_whose_it_is_reaches_all_of_it(bench: Maker) -> None:
    """Else the suite above would prove nothing: the ids must be right."""
    async with world(bench) as made:
        wrong = []
        for route in ROUTES:
            if route.reach in ("owned", "mine") and (route.least is None or role_rank(route.least) <= role_rank("member")):
                reply = await made.call(route, made.as_ada)
                if reply.status_code not in route.answers:
                    wrong.append(complaint(route, "Ada", reply))
        assert wrong == []


@pytest.mark.slow
async def test_ids_of_others_do_not_work_inside_ones_own(bench: Maker) -> None:
    """A path of one's own with somebody else's object in the body, or the other way round."""
    async with world(bench) as made:
        ids, ben = made.ids, made.others["member"]

        async def as_ben(method: str, path: str, **body: Any) -> httpx.Response:
            return await made.api.client.request(method, path, json=body or None, headers=ben)

        own = (await as_ben("POST", "/v1/conversations", title="Ben's")).json()["id"]
        asked = (await as_ben("POST", f"/v1/conversations/{own}/turns", text="Mine")).json()
        message = asked["question"]
        before = dump(made.api.store, made.ada.id)
        attempts = (
            ("PATCH", f"/v1/conversations/{own}", {"folder": ids["folder"]}),
            ("PATCH", f"/v1/conversations/{own}", {"leaf": ids["answer"]}),
            ("POST", f"/v1/conversations/{own}/turns", {"text": "x", "message": ids["answer"]}),
            ("POST", f"/v1/conversations/{own}/turns", {"kind": "regenerate", "message": ids["answer"]}),
            ("POST", f"/v1/conversations/{own}/turns", {"kind": "continue", "message": ids["answer"]}),
            ("POST", f"/v1/conversations/{own}/messages/{ids['answer']}/edit", {"text": "x"}),
            ("DELETE", f"/v1/conversations/{own}/messages/{ids['answer']}", {}),
            ("GET", f"/v1/conversations/{own}/messages/{ids['file_message']}/attachments/{ids['file']}", {}),
            ("GET", f"/v1/conversations/{own}/messages/{message}/attachments/{ids['file']}", {}),
        )
        for method, path, body in attempts:
            reply = await as_ben(method, path, **body)
            assert (reply.status_code, MARK in reply.text) == (404, False), (method, path, reply.text)
        for query in (f"folder={ids['folder']}", f"q={MARK}", f"after={ids['conversation']}"):
            reply = await as_ben("GET", f"/v1/conversations?{query}")
            assert MARK not in reply.text
            assert reply.status_code in (400, 404) or reply.json()["data"] == []
        assert dump(made.api.store, made.ada.id) == before


@pytest.mark.slow
async def test_strangers_get_in_nowhere_but_through_the_door(bench: Maker) -> None:
    async with world(bench) as made:
        for route in ROUTES:
            for headers in ({}, {"x-api-key": "yk_wrong"}, {"cookie": "yearling_session=wrong"}, {"authorization": "Basic eA=="}):
                reply = await made.call(route, headers)
                if route.reach != "open":
                    assert reply.status_code == 401, complaint(route, str(headers), reply)
                elif not headers:
                    assert reply.status_code in route.answers, complaint(route, "a stranger", reply)
                assert MARK not in reply.text


@pytest.mark.slow
async def test_each_route_wants_its_role(bench: Maker) -> None:
    async with world(bench) as made:
        wrong = []
        for route in ROUTES:
            for role, headers in made.others.items():
                allowed = route.least is None or role_rank(role) >= role_rank(route.least)
                reply = await made.call(route, headers)
                if (reply.status_code == 403) == allowed:
                    wrong.append(complaint(route, role, reply))
                if not allowed and reply.json()["error"]["code"] != "not_allowed":
                    wrong.append(complaint(route, role, reply))
        assert wrong == []


@pytest.mark.slow
async def test_each_route_wants_its_scope(bench: Maker) -> None:
    async with world(bench) as made:
        olga = made.api.store.people.add("Olga", "owner")
        keys = {scope: key_of(made.api.store, olga, [scope]) for scope in KEY_SCOPES}
        wrong = []
        for route in ROUTES:
            for scope, headers in keys.items():
                wanted = {route.scope} if route.reach != "open" else {*KEY_SCOPES}
                # A router may want reading on top of what its routes want.
                if (await made.call(route, headers)).status_code == 403 and scope in wanted and scope != "read":
                    headers = key_of(made.api.store, olga, [scope, "read"])
                reply = await made.call(route, headers)
                if (reply.status_code == 403) == (scope in wanted):
                    wrong.append(complaint(route, f"key for {scope}", reply))
        assert wrong == []


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/nothing", "/v1/auth-not", "/v1/sharedness", "/metrics"])
async def test_what_is_not_in_the_schema_is_closed_too(bench: Maker, path: str) -> None:
    async with bench(api_keys=("key",)) as api:
        assert (await api.client.get(path)).status_code == 401
