"""Isolation of people on every route: nobody reaches another person's objects, whatever their role.

The routes come from the OpenAPI document; a route that `routes.py` does not list fails the suite. All of Ada's private data
contains a mark, which must not appear in a response to anyone else. At the end Ada calls the same routes with the same IDs, to
prove that the IDs are valid.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import uuid
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory, RunningApi
from tests.api.route_record import UNKNOWN, Route
from tests.api.routes import ROUTES
from yearling.inference import FakeEngine
from yearling.records import KEY_SCOPES, PERSON_ROLES, Person, PersonRole, role_rank
from yearling.store import Store

MARK = "adas-own-words"
ZIP = {"content-type": "application/zip"}
_NUM_ADAS_ANSWERS = 12
"""Number of answers that Ada gets before anyone else asks."""

_TABLES = (
    "api_conversations",
    "conversations",
    "documents",
    "file_collections",
    "samples",
    "folders",
    "shares",
    "ended_shares",
    "comparisons",
    "offers",
    "texts",
    "memories",
    "corrections",
    "api_keys",
    "sessions",
    "people",
)


@dataclass
class World:
    """A server with accounts. `ids` are the IDs of Ada's objects."""

    api: RunningApi
    ada: Person
    as_ada: dict[str, str]
    others: dict[PersonRole, dict[str, str]]
    ids: dict[str, str] = field(default_factory=dict)

    async def call(self, route: Route, headers: dict[str, str], ids: dict[str, str] | None = None) -> httpx.Response:
        ids = self.ids if ids is None else ids
        if route.file:
            headers = {**headers, "content-type": route.media_type}
            return await self.api.client.request(route.method, route.address(ids), content=route.file, headers=headers)
        body = route.body(ids) if route.body else None
        return await self.api.client.request(route.method, route.address(ids), json=body, headers=headers)

    async def post(self, path: str, **body: Any) -> Any:
        response = await self.api.client.post(path, json=body, headers=self.as_ada)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def make_world(start_api: ApiFactory) -> AsyncGenerator[World, None]:
    engine = FakeEngine([*[f"Answer {n}: {MARK}." for n in range(_NUM_ADAS_ANSWERS)], *[f"Answer {n}." for n in range(500)]])
    async with start_api(engine, api_keys=("the-setting",), comparison_rate=0) as api:
        ada, as_ada = add_person(api.store, "Ada")
        others = {role: add_person(api.store, f"Other {role}", role)[1] for role in PERSON_ROLES}
        world = World(api, ada, as_ada, others)
        await create_objects(world)
        assert len(engine.requests) == _NUM_ADAS_ANSWERS, "later answers do not belong to Ada"
        yield world


async def create_objects(world: World) -> None:
    """Create an object of every kind for Ada."""
    ids, store = world.ids, world.api.store
    ids["person"] = world.ada.id
    ids["folder"] = (await world.post("/v1/folders", name=f"Folder {MARK}"))["id"]
    ids["response"] = (await world.post("/v1/responses", model="fake-model", input=f"Question {MARK}"))["id"]
    item = {"role": "user", "content": f"Item {MARK}"}
    ids["api_conversation"] = (await world.post("/v1/conversations", items=[item], metadata={"a": MARK}))["id"]
    owned = store.api_conversations.list(world.ada.id)[0]
    ids["api_item"] = store.api_conversations.list_items(owned.id, person_id=world.ada.id).items[0]["id"]
    for name in (
        "sample",
        "left_sample",
        "right_sample",
        "edit_sample",
        "note_sample",
        "event_sample",
        "offer_sample",
        "offered",
    ):
        messages = [{"role": "user", "content": f"Question {MARK}"}]
        ids[name] = (await world.post("/v1/chat/completions", model="fake-model", messages=messages))["id"]
    public = {"question": "Public question", "answer": "Public answer"}
    ids["offer"] = (await world.post("/v1/offers", item=ids["offered"], **public))["id"]
    ids["event"] = (await world.post("/v1/feedback/ratings", item=ids["event_sample"], value=1))["id"]
    ids["conversation"] = (await world.post("/v1/chats", title=f"Title {MARK}"))["id"]
    question = await run_turn(world, text=f"Question {MARK}", compare=False)
    ids["turn"] = question
    ids["answer"] = answer_ids(store, world)[-1]
    await run_turn(world, text=f"Question {MARK}", compare=True, message=ids["answer"])
    ids["comparison"] = comparison_ids(store, world)[0]
    ids["memory"] = (await world.post("/v1/memories", text=f"Likes {MARK}"))["id"]
    body = {"question": f"Why {MARK}?", "answer": f"So {MARK}"}
    ids["correction"] = (await world.post("/v1/corrections", **body))["correction"]["id"]
    ids["share"] = (await world.post("/v1/shares", conversation=ids["conversation"]))["id"]
    await world.api.client.patch("/v1/settings", json={"instructions": f"Know {MARK}"}, headers=world.as_ada)
    await import_picture(world)
    await add_document(world)
    await add_vector_store(world)
    ids["key"] = store.api_keys.create(world.ada.id, f"Key {MARK}", ["read"])[1].id
    ids["session"] = store.sessions.open(world.ada.id, method="test", agent=f"Browser {MARK}")[1].id


PICTURE = b"\x89PNG\r\n\x1a\n" + MARK.encode()


def with_picture(title: str) -> bytes:
    """An Open WebUI export with a picture in its only message."""
    url = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    node = {"id": "m", "parentId": None, "role": "user", "content": "", "files": [{"type": "image", "url": url}]}
    chat = {"title": title, "history": {"messages": {"m": node}, "currentId": "m"}}
    return json.dumps([{"id": title, "title": title, "chat": chat, "created_at": 1700000000}]).encode()


async def import_picture(world: World) -> None:
    response = await world.api.client.post("/v1/import", content=with_picture(f"Picture {MARK}"), headers={**world.as_ada, **ZIP})
    assert response.json()["blobs"] == 1, response.text
    conversation = next(conversation for conversation in world.api.store.conversations.list(world.ada.id) if conversation.origin)
    message = world.api.store.conversations.list_messages(conversation.id, person_id=world.ada.id)[0]
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    world.ids |= {"file_conversation": conversation.id, "file_message": message.id, "file": sha256}


async def add_document(world: World) -> None:
    path = f"/v1/documents?name=ada.txt&folder={world.ids['folder']}"
    added = await world.api.client.post(
        path, content=f"Words of {MARK}.", headers={**world.as_ada, "content-type": "application/octet-stream"}
    )
    world.ids["document"] = added.json()["document"]["id"]
    await wait_until_read(world, world.ids["document"])


async def wait_until_read(world: World, document_id: str) -> None:
    """Return once a document is indexed, so that nothing changes any more by itself."""
    for _ in range(2000):
        found = (await world.api.client.get(f"/v1/documents/{document_id}", headers=world.as_ada)).json()
        if found["version"]["state"] == "indexed":
            return
        await asyncio.sleep(0.01)
    raise AssertionError(found)


async def add_vector_store(world: World) -> None:
    """Two files of Ada's library in a vector store: one is deleted through it, the other by itself."""
    for name in ("library_file", "stored_file"):
        form = {"purpose": "user_data"}
        content = f"{name} of {MARK}.".encode()
        upload = {"file": (f"{name} {MARK}.txt", content, "text/plain")}
        response = await world.api.client.post("/v1/files", data=form, files=upload, headers=world.as_ada)
        assert response.status_code == 200, response.text
        world.ids[name] = response.json()["id"]
        await wait_until_read(world, str(uuid.UUID(response.json()["id"].removeprefix("file-"))))
    files = [world.ids["library_file"], world.ids["stored_file"]]
    created = await world.post("/v1/vector_stores", name=f"Store {MARK}", metadata={"a": MARK})
    world.ids["vector_store"] = created["id"]
    batch = await world.post(f"/v1/vector_stores/{created['id']}/file_batches", file_ids=files, attributes={"a": MARK})
    world.ids["file_batch"] = batch["id"]


async def run_turn(world: World, **body: Any) -> str:
    """Run a turn to its end; returns its ID."""
    turn_id = str((await world.post(f"/v1/chats/{world.ids['conversation']}/turns", **body))["id"])
    for _ in range(500):
        turn_json = (await world.api.client.get(f"/v1/turns/{turn_id}", headers=world.as_ada)).json()
        if turn_json["state"] != "running":
            return turn_id
        await asyncio.sleep(0.01)
    raise AssertionError(turn_json)


def answer_ids(store: Store, world: World) -> list[str]:
    messages = store.conversations.list_messages(world.ids["conversation"], person_id=world.ada.id)
    return [message.id for message in messages if message.role == "assistant"]


def comparison_ids(store: Store, world: World) -> list[str]:
    comparisons = store.comparisons.list_for_conversation(world.ids["conversation"], person_id=world.ada.id)
    return [comparison.id for comparison in comparisons]


def documented(api: RunningApi) -> set[str]:
    paths = api.app.openapi()["paths"]
    return {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}


def stored_data(store: Store, person_id: str) -> str:
    """All stored data of a person, without the times at which keys and sessions were used."""
    tables: dict[str, Any] = {}
    with store.database.read() as connection:
        for table in _TABLES:
            column = "id" if table == "people" else "person_id"
            rows = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE {column} = ?", (person_id,))
            tables[table] = [
                {name: repr(value) for name, value in row._mapping.items() if name not in ("used_utc", "seen_utc", "expires_utc")}
                for row in rows
            ]
        own = "SELECT m.* FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.person_id = ?"
        tables["messages"] = [repr(row) for row in connection.exec_driver_sql(own, (person_id,))]
    return json.dumps(tables, sort_keys=True)


async def test_every_route_is_listed(start_api: ApiFactory) -> None:
    async with start_api() as api:
        known = [route.key for route in ROUTES]
        assert len(known) == len(set(known))
        existing = await asyncio.to_thread(documented, api)
        assert existing - set(known) == set(), "add these routes to tests/api/routes.py"
        assert set(known) - existing == set(), "remove these routes from tests/api/routes.py"


def describe(route: Route, who: str, response: httpx.Response) -> str:
    return f"{route.key} as {who}: {response.status_code} {response.text[:200]}"


@pytest.mark.slow
async def test_objects_of_others_are_unreachable(start_api: ApiFactory) -> None:
    async with make_world(start_api) as world:
        before, leaks, num_calls = stored_data(world.api.store, world.ada.id), [], 0
        nothing = dict.fromkeys(world.ids, UNKNOWN)
        for route in ROUTES:
            for role, headers in world.others.items():
                response = await world.call(route, headers)
                num_calls += 1
                if MARK in response_text(response):
                    leaks.append(describe(route, role, response))
                if route.reach != "owned":
                    continue
                allowed = role_rank(role) >= role_rank(route.least or "reader")
                if response.status_code != (404 if allowed else 403):
                    leaks.append(describe(route, role, response))
                if role != "member":
                    continue
                # The error is the same as for an object that does not exist.
                unknown = await world.call(route, headers, {**nothing})
                if (unknown.status_code, shape(unknown, nothing)) != (response.status_code, shape(response, world.ids)):
                    leaks.append(
                        f"{describe(route, role, response)} but for an unknown one {unknown.status_code} {unknown.text[:200]}"
                    )
        assert leaks == []
        assert stored_data(world.api.store, world.ada.id) == before
        assert MARK in response_text(await world.api.client.get("/v1/export", headers=world.as_ada))
        assert num_calls == len(ROUTES) * len(PERSON_ROLES)


@pytest.mark.slow
async def test_shared_file_survives_deletion_by_one_person(start_api: ApiFactory) -> None:
    """Two people's equal files are stored once; each person reaches theirs until they delete their message."""
    async with make_world(start_api) as world:
        ben, ids = world.others["member"], world.ids
        await world.api.client.post("/v1/import", content=with_picture("Ben's"), headers={**ben, **ZIP})
        listed = (await world.api.client.get("/v1/chats", headers=ben)).json()["data"]
        shown = (await world.api.client.get(f"/v1/chats/{listed[0]['id']}", headers=ben)).json()["tree"][0]
        path = shown["attachments"][0]["path"]
        assert (await world.api.client.get(path, headers=ben)).content == PICTURE
        assert (await world.api.client.get(path, headers=world.as_ada)).status_code == 404
        await world.api.client.delete(f"/v1/chats/{ids['file_conversation']}", headers=world.as_ada)
        assert (await world.api.client.get(path, headers=ben)).content == PICTURE
        await world.api.client.delete(f"/v1/chats/{listed[0]['id']}", headers=ben)
        assert hashlib.sha256(PICTURE).hexdigest() not in dict(world.api.store.blobs.iter_sizes())


def response_text(response: httpx.Response) -> str:
    """The text of a response, including the files of an archive."""
    if response.headers.get("content-type") != "application/zip":
        return response.text
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return "".join(archive.read(name).decode("utf-8", "replace") for name in archive.namelist())


def shape(response: httpx.Response, ids: dict[str, str]) -> str:
    """An error message without the IDs that it quotes."""
    text = response.text
    for value in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(value, "ID").replace(value.removeprefix("chatcmpl-"), "ID")
    return text


@pytest.mark.slow
async def test_owner_reaches_all_own_objects(start_api: ApiFactory) -> None:
    """Proves that the suite above uses valid IDs."""
    async with make_world(start_api) as world:
        wrong = []
        for route in ROUTES:
            if route.reach in ("owned", "mine") and (route.least is None or role_rank(route.least) <= role_rank("member")):
                response = await world.call(route, world.as_ada)
                if response.status_code not in route.answers:
                    wrong.append(describe(route, "Ada", response))
        assert wrong == []


@pytest.mark.slow
async def test_ids_of_others_are_rejected_in_own_objects(start_api: ApiFactory) -> None:
    """One's own object in the path with another person's in the body, or the reverse."""
    async with make_world(start_api) as world:
        ids, ben = world.ids, world.others["member"]

        async def as_ben(method: str, path: str, **body: Any) -> httpx.Response:
            return await world.api.client.request(method, path, json=body or None, headers=ben)

        own = (await as_ben("POST", "/v1/chats", title="Ben's")).json()["id"]
        requested = (await as_ben("POST", f"/v1/chats/{own}/turns", text="Mine")).json()
        message = requested["question"]
        before = stored_data(world.api.store, world.ada.id)
        attempts: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("PATCH", f"/v1/chats/{own}", {"folder": ids["folder"]}),
            ("PATCH", f"/v1/chats/{own}", {"leaf": ids["answer"]}),
            ("POST", f"/v1/chats/{own}/turns", {"text": "x", "message": ids["answer"]}),
            ("POST", f"/v1/chats/{own}/turns", {"kind": "regenerate", "message": ids["answer"]}),
            ("POST", f"/v1/chats/{own}/turns", {"kind": "continue", "message": ids["answer"]}),
            ("POST", f"/v1/chats/{own}/messages/{ids['answer']}/edit", {"text": "x"}),
            ("DELETE", f"/v1/chats/{own}/messages/{ids['answer']}", {}),
            ("GET", f"/v1/chats/{own}/messages/{ids['file_message']}/attachments/{ids['file']}", {}),
            ("GET", f"/v1/chats/{own}/messages/{message}/attachments/{ids['file']}", {}),
        )
        for method, path, body in attempts:
            response = await as_ben(method, path, **body)
            assert (response.status_code, MARK in response.text) == (404, False), (method, path, response.text)
        for query in (f"folder={ids['folder']}", f"q={MARK}", f"after={ids['conversation']}"):
            response = await as_ben("GET", f"/v1/chats?{query}")
            assert MARK not in response.text
            assert response.status_code in (400, 404) or response.json()["data"] == []
        assert stored_data(world.api.store, world.ada.id) == before


@pytest.mark.slow
async def test_unauthenticated_requests_are_rejected(start_api: ApiFactory) -> None:
    async with make_world(start_api) as world:
        for route in ROUTES:
            for headers in ({}, {"x-api-key": "yk_wrong"}, {"cookie": "yearling_session=wrong"}, {"authorization": "Basic eA=="}):
                response = await world.call(route, headers)
                if route.reach != "open":
                    assert response.status_code == 401, describe(route, str(headers), response)
                elif not headers:
                    assert response.status_code in route.answers, describe(route, "a stranger", response)
                assert MARK not in response.text


@pytest.mark.slow
async def test_each_route_requires_its_role(start_api: ApiFactory) -> None:
    async with make_world(start_api) as world:
        wrong = []
        for route in ROUTES:
            for role, headers in world.others.items():
                allowed = route.least is None or role_rank(role) >= role_rank(route.least)
                response = await world.call(route, headers)
                if (response.status_code == 403) == allowed:
                    wrong.append(describe(route, role, response))
                if not allowed and response.json()["error"]["code"] != "not_allowed":
                    wrong.append(describe(route, role, response))
        assert wrong == []


@pytest.mark.slow
async def test_each_route_requires_its_scope(start_api: ApiFactory) -> None:
    async with make_world(start_api) as world:
        olga = world.api.store.people.add("Olga", "owner")
        keys = {scope: key_headers(world.api.store, olga, [scope]) for scope in KEY_SCOPES}
        with_read = {scope: key_headers(world.api.store, olga, [scope, "read"]) for scope in KEY_SCOPES if scope != "read"}
        wrong = []
        for route in ROUTES:
            for scope, headers in keys.items():
                required = {route.scope} if route.reach != "open" else {*KEY_SCOPES}
                # A router can require `read` in addition to what its routes require.
                if (await world.call(route, headers)).status_code == 403 and scope in required and scope != "read":
                    headers = with_read[scope]
                response = await world.call(route, headers)
                if (response.status_code == 403) == (scope in required):
                    wrong.append(describe(route, f"key for {scope}", response))
        assert wrong == []


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/nothing", "/v1/auth-not", "/v1/sharedness", "/metrics"])
async def test_undocumented_routes_require_authentication(start_api: ApiFactory, path: str) -> None:
    async with start_api(api_keys=("key",)) as api:
        assert (await api.client.get(path)).status_code == 401
