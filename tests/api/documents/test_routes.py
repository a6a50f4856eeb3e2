"""Documents over HTTP, with two accounts: added, read in the background, found, opened at a passage, and gone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from yearling.api.documents import schemas
from yearling.inference import FakeEmbedder
from yearling.store import DocumentPlace

pytestmark = pytest.mark.slow

Json = dict[str, Any]
FILE = {"content-type": "application/octet-stream"}
HOURS = "# Opening hours\n\nWe open at nine. On Sundays we are closed.\n\n# Prices\n\nA ticket costs 5 euros. 儿童免费。\n"


async def add(api: RunningApi, name: str, content: str | bytes, headers: dict[str, str], **place: str) -> httpx.Response:
    return await api.client.post("/v1/documents", params={"name": name, **place}, content=content, headers={**FILE, **headers})


async def read_document(api: RunningApi, added: httpx.Response, headers: dict[str, str]) -> Json:
    """The document once it is read."""
    assert added.status_code == 200, added.text
    schemas.AddedDocumentView.model_validate(added.json())
    async with asyncio.timeout(30):
        while True:
            found = await api.client.get(f"/v1/documents/{added.json()['document']['id']}", headers=headers)
            schemas.DocumentView.model_validate(found.json())
            document: Json = found.json()
            if document["version"]["state"] != "waiting":
                return document
            await asyncio.sleep(0.02)


async def search(api: RunningApi, query: str, headers: dict[str, str], **fields: Any) -> Json:
    response = await api.client.post("/v1/documents/search", json={"query": query, **fields}, headers=headers)
    assert response.status_code == 200, response.text
    schemas.DocumentSearchView.model_validate(response.json())
    result: Json = response.json()
    return result


async def test_document_is_read_found_opened_and_removed(start_api: ApiFactory) -> None:
    async with start_api(embedder=FakeEmbedder()) as api:
        _, ada = add_person(api.store, "Ada")
        folder = (await api.client.post("/v1/folders", json={"name": "Museum"}, headers=ada)).json()["id"]
        document = await read_document(api, await add(api, "hours.md", HOURS, ada, folder=folder), ada)
        assert (document["name"], document["scope"], document["mine"]) == ("hours.md", "folder", True)
        hit = (await search(api, "儿童", ada, folder=folder))["data"][0]
        text = (await api.client.get(f"/v1/documents/{hit['document']}/text", headers=ada)).json()
        schemas.DocumentTextView.model_validate(text)
        assert text["text"][hit["start"] : hit["end"]] == hit["text"]
        part = await api.client.get(
            f"/v1/documents/{hit['document']}/text",
            params={"version": hit["text_sha256"], "start": hit["start"], "end": hit["end"]},
            headers=ada,
        )
        assert part.json()["text"] == hit["text"]
        assert (await search(api, "儿童", ada))["data"] == []  # another folder's documents are not everybody's
        path = f"/v1/documents/{document['id']}"
        content = await api.client.get(f"{path}/content", headers=ada)
        assert content.text == HOURS
        assert content.headers["content-disposition"].startswith("attachment")
        changed = await read_document(api, await add(api, "hours.md", HOURS.replace("nine", "ten"), ada, folder=folder), ada)
        assert changed["version"]["changes"] == {"added": 1, "removed": 1}
        old = await api.client.get(f"{path}/text", params={"version": hit["text_sha256"]}, headers=ada)
        assert old.json()["text"] == text["text"]  # what a citation names stays as it was
        assert len((await api.client.get(f"{path}/versions", headers=ada)).json()["data"]) == 2
        assert (await add(api, "copy.md", HOURS.replace("nine", "ten"), ada, folder=folder)).json()["duplicate"]
        renamed = await api.client.patch(path, json={"name": "times.md"}, headers=ada)
        assert renamed.json()["name"] == "times.md"
        assert (await api.client.delete(path, headers=ada)).status_code == 200
        gone = await api.client.get(f"{path}/text", params={"version": hit["text_sha256"]}, headers=ada)
        assert gone.status_code == 404
        assert "removed" in gone.json()["error"]["message"]
        assert (await search(api, "儿童", ada, folder=folder))["data"] == []


async def test_documents_of_somebody_else_and_for_everybody(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, ada = add_person(api.store, "Ada")
        _, ben = add_person(api.store, "Ben")
        _, mia = add_person(api.store, "Mia", "maintainer")
        folder = (await api.client.post("/v1/folders", json={"name": "Secret"}, headers=ada)).json()["id"]
        chat = (await api.client.post("/v1/chats", json={"title": "Chat"}, headers=ada)).json()["id"]
        mine = await read_document(api, await add(api, "a.txt", "Ada's secret words.", ada, folder=folder), ada)
        await read_document(api, await add(api, "b.txt", "Words of a chat.", ada, conversation=chat), ada)
        for place in ({"folder": folder}, {"conversation": chat}):
            assert (await add(api, "x.txt", "Mine.", ben, **place)).status_code == 404
            response = await api.client.post("/v1/documents/search", json={"query": "words", **place}, headers=ben)
            assert response.status_code == 404
        assert (await search(api, "secret", ben, documents=[mine["id"]]))["data"] == []
        for method, path, body in (
            ("GET", "", None), ("GET", "/text", None), ("GET", "/content", None), ("GET", "/versions", None),
            ("PATCH", "", {"name": "x"}), ("POST", "/retry", None), ("DELETE", "", None),
        ):  # fmt: skip
            response = await api.client.request(method, f"/v1/documents/{mine['id']}{path}", json=body, headers=ben)
            assert response.status_code == 404, (method, path)
        assert (await api.client.get("/v1/documents", headers=ben)).json()["data"] == []
        assert (await add(api, "all.txt", "For all.", ada)).status_code == 403
        public = await read_document(api, await add(api, "all.txt", "The key hangs in the hall.", mia), mia)
        assert public["scope"] == "everybody"
        assert (await search(api, "key", ben))["data"][0]["document"] == public["id"]
        assert (await api.client.delete(f"/v1/documents/{public['id']}", headers=ben)).status_code == 403
        listed = (await api.client.get("/v1/documents", params={"everybody": True}, headers=ben)).json()
        schemas.DocumentList.model_validate(listed)
        assert [(document["name"], document["mine"]) for document in listed["data"]] == [("all.txt", False)]


async def test_what_cannot_be_read_says_why(start_api: ApiFactory) -> None:
    async with start_api(max_document_bytes=10_000) as api:
        _, mia = add_person(api.store, "Mia", "maintainer")
        picture = await read_document(api, await add(api, "a.png", b"\x89PNG\r\n\x1a\n" + bytes(50), mia), mia)
        assert picture["version"]["state"] == "failed"
        assert "image" in picture["version"]["reason"]
        assert not picture["searchable"]
        again = await api.client.post(f"/v1/documents/{picture['id']}/retry", headers=mia)
        assert again.json()["version"]["state"] in ("waiting", "failed")
        assert (await add(api, "a.txt", b"", mia)).status_code == 400
        assert (await add(api, "a.txt", b"x" * 10_001, mia)).status_code == 413
        assert (await add(api, "a.txt", b"x", mia, folder="none")).status_code == 404
        assert (await add(api, "a.txt", b"x", mia, folder="none", conversation="none")).status_code == 400
        document = await read_document(api, await add(api, "b.txt", "Text.", mia), mia)
        text = await api.client.get(f"/v1/documents/{document['id']}/text", params={"start": 9}, headers=mia)
        assert text.status_code == 400


async def test_documents_that_waited_are_read_after_a_restart_and_embedded(start_api: ApiFactory) -> None:
    async with start_api(embedder=FakeEmbedder()) as api:
        owner = api.store.people.owner().id

        def add_all() -> None:
            for number in range(40):
                api.store.documents.add(owner, f"{number}.txt", f"Number {number} is here.".encode(), place=DocumentPlace())

        await asyncio.to_thread(add_all)
        api.app.state.services.documents.wake()
        async with asyncio.timeout(60):
            while True:
                listed = (await api.client.get("/v1/documents", params={"limit": 200})).json()
                is_read = all(document["version"]["state"] == "indexed" for document in listed["data"])
                if is_read and listed["waiting_for_meaning"] == 0 and (await search(api, "number", {}))["by_meaning"]:
                    break
                await asyncio.sleep(0.05)
        assert len(listed["data"]) == 40
