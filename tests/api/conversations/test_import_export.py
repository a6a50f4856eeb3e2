"""Import from other programs, and export and import of all personal data without loss."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.api.auth_headers import add_person, key_headers
from tests.api.conftest import ApiFactory, RunningApi
from tests.api.conversations.chat_exports import CHATGPT, GIF, OPEN_WEBUI, PNG, SVG, make_zip, webui_node, zip_contents
from tests.api.turn_client import events_of, exchange, get_tree, start_turn
from yearling.api.conversations import schemas
from yearling.api.conversations.import_schemas import ConversationImportReport
from yearling.api.conversations.import_slots import ImportSlots
from yearling.errors import Conflict
from yearling.inference import FakeEngine
from yearling.records import Conversation, Message
from yearling.store import ImportLocks
from yearling.store.transfer.import_locks import MAX_RUNNING_IMPORTS

ZIP = {"content-type": "application/zip"}
JSON = {"content-type": "application/json"}


async def import_file(api: RunningApi, content: bytes, kind: str = "application/zip") -> dict[str, Any]:
    response = await api.client.post("/v1/import", content=content, headers={"content-type": kind})
    assert response.status_code == 200, response.text
    ConversationImportReport.model_validate(response.json())
    report: dict[str, Any] = response.json()
    return report


async def export_file(api: RunningApi) -> bytes:
    response = await api.client.get("/v1/export")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    return response.content


def stored_conversation(api: RunningApi) -> list[Any]:
    owner = api.store.people.owner().id
    one = api.store.conversations.list(owner)[0]
    return [one, api.store.conversations.list_messages(one.id, person_id=owner)]


async def test_chatgpt_export_is_imported_completely(start_api: ApiFactory) -> None:
    async with start_api() as api:
        files = {"file-abcd.png": GIF, "file-abc-photo.png": PNG, "chat.html": b""}
        file = make_zip({"conversations.json": json.dumps(CHATGPT).encode(), **files})
        report = await import_file(api, file)
        assert (report["format"], report["conversations"], report["messages"], report["blobs"]) == ("chatgpt", 1, 7, 1)
        assert report["left_out"] == [{"what": "message", "reason": "it is not connected to its conversation", "count": 1}]
        conversation, messages = stored_conversation(api)
        assert (conversation.title, conversation.origin) == ("Trip to Kyoto 京都", "chatgpt")
        assert conversation.created_utc.timestamp() == pytest.approx(1700000000.123456, abs=1e-5)
        by_key = {one.facts["source"]["id"]: one for one in messages}
        assert by_key["a1"].parent_id == by_key["a2"].parent_id == by_key["q"].id
        assert by_key["sys"].parent_id is None
        assert conversation.leaf_id == by_key["end"].id
        assert by_key["a1"].model == "gpt-4o"
        assert by_key["a2"].content == "```python\n1+1\n```"
        assert by_key["img"].content == "and this?"
        messages_json = (await get_tree(api.client, conversation.id))["tree"]
        assert [one["text"] for one in messages_json if not one["hidden"]] == [
            "What to see in Kyoto?",
            "Temples.",
            "and this?",
            "A gate.",
        ]
        # Every field of the file is stored, so that the file can be rebuilt.
        source = conversation.facts["source"]
        mapping = {**source["bare_nodes"], **{key: one.facts["source"] for key, one in by_key.items()}}
        again = {**{name: value for name, value in source.items() if name != "bare_nodes"}, "mapping": mapping}
        original = {**CHATGPT[0], "mapping": {key: node for key, node in CHATGPT[0]["mapping"].items() if key != "lost"}}
        assert again == original
        assert (await import_file(api, file))["known"] == 1, "importing again changes nothing"
        hits = (await api.client.get("/v1/chats", params={"q": "京都"})).json()["data"]
        assert [one["id"] for one in hits] == [conversation.id]


async def test_open_webui_export_is_imported_completely(start_api: ApiFactory) -> None:
    async with start_api() as api:
        report = await import_file(api, json.dumps(OPEN_WEBUI).encode(), "application/json")
        assert (report["format"], report["conversations"], report["messages"], report["left_out"]) == ("open_webui", 1, 3, [])
        conversation, messages = stored_conversation(api)
        by_key = {one.facts["source"]["id"]: one for one in messages}
        assert by_key["m2"].parent_id == by_key["m3"].parent_id == by_key["m1"].id
        assert conversation.leaf_id == by_key["m3"].id
        assert [one.content for one in messages] == ["2+2?", "5", "4"]
        source = conversation.facts["source"]
        chat = dict(source["chat"])
        url = [by_key[key].facts.get("source_listed", by_key[key].facts["source"]) for key in chat.pop("listed")]
        nodes = {key: one.facts["source"] for key, one in by_key.items()}
        chat |= {"messages": url, "history": {**chat["history"], "messages": nodes}}
        assert {**source, "chat": chat} == OPEN_WEBUI[0]


async def test_imported_conversation_can_be_continued(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Go on."])) as api:
        await import_file(api, json.dumps(CHATGPT).encode(), "application/json")
        conversation, _ = stored_conversation(api)
        await exchange(api.client, "More?", conversation=conversation.id, message=conversation.leaf_id)
        prompt = [(one["role"], one["content"]) for one in api.samples()[-1].messages if one["role"] != "system"]
        assert prompt[-3:] == [("user", "and this?"), ("assistant", "A gate."), ("user", "More?")]


async def create_data(api: RunningApi) -> dict[str, str]:
    """Create data of every kind. Returns the IDs of some of it."""
    turn, _ = await exchange(api.client, "My name is Ada. Hello \u2028 你好")
    conversation_id, answer = turn["conversation"], turn["answers"][0]["message"]
    await exchange(api.client, conversation=conversation_id, kind="regenerate", message=answer)
    folder = (await api.client.post("/v1/folders", json={"name": "Green"})).json()["id"]
    await api.client.patch(f"/v1/chats/{conversation_id}", json={"folder": folder})
    compared = await start_turn(api.client, "Which?", compare=True, against="other/model")
    await events_of(api.client, compared["id"])
    await api.client.post(f"/v1/comparisons/{compared['comparison']}/choice", json={"outcome": "left"})
    await api.client.post("/v1/memories", json={"text": "I like tea"})
    await api.client.patch("/v1/settings", json={"instructions": "Be brief", "length": "short"})
    shares = [(await api.client.post("/v1/shares", json={"conversation": conversation_id})).json()["id"] for _ in range(2)]
    sample = next(one["sample"] for one in (await get_tree(api.client, conversation_id))["tree"] if one["id"] == answer)
    edited = await api.client.post(f"/v1/chats/{conversation_id}/messages/{answer}/edit", json={"text": "Better 你好"})
    await api.client.post("/v1/feedback/ratings", json={"item": sample, "value": 0.5, "tags": ["clear"]})
    await api.client.post("/v1/feedback/notes", json={"item": sample, "text": "The figure is from 2019."})
    await api.client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "by API"}]})
    await import_file(api, make_zip({"conversations.json": json.dumps(CHATGPT).encode(), "file-abc.png": PNG}))
    return {
        "conversation": conversation_id,
        "share": shares[0],
        "other_share": shares[1],
        "sample": sample,
        "edit": edited.json()["event"],
    }


async def delete_all(api: RunningApi) -> None:
    """Delete everything through the API."""
    for one in (await api.client.get("/v1/chats")).json()["data"]:
        await api.client.delete(f"/v1/chats/{one['id']}")
    for one in (await api.client.get("/v1/folders")).json()["data"]:
        await api.client.delete(f"/v1/folders/{one['id']}")
    await api.client.delete("/v1/memories")
    await api.client.patch("/v1/settings", json={"instructions": "", "length": "normal"})
    for sample in api.samples():
        api.store.samples.delete(sample.id, person_id=sample.person_id)


@pytest.mark.slow
async def test_import_restores_deleted_data(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One.", "Two."])) as api:
        ids = await create_data(api)
        first, head = await export_file(api), api.store.events.head()
        messages_json = await get_tree(api.client, ids["conversation"])
        await delete_all(api)
        assert zip_contents(await export_file(api))["conversations.jsonl"] == []
        assert b"2019" not in b"".join(zip_contents(await export_file(api))["feedback.jsonl"])
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 404
        report = await import_file(api, first)
        assert (report["conversations"], report["samples"], report["memories"], report["folders"]) == (3, 5, 2, 1)
        assert (report["judgements"], report["shares"], report["blobs"], report["left_out"]) == (0, 2, 1, [])
        assert zip_contents(await export_file(api)) == zip_contents(first)
        assert await get_tree(api.client, ids["conversation"]) == {**messages_json, "turns": []}
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 200
        assert api.store.events.head() == head, "the log contained every event, and none was added"
        assert api.store.verify().ok


@pytest.mark.slow
async def test_import_does_not_restore_revoked_links_or_retracted_edits(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One.", "Two."])) as api:
        ids = await create_data(api)
        first = await export_file(api)
        await api.client.delete(f"/v1/shares/{ids['share']}")
        await api.client.delete(f"/v1/feedback/events/{ids['edit']}")
        await delete_all(api)
        report = await import_file(api, first)
        assert {"what": "share", "reason": "it was revoked", "count": 1} in report["left_out"]
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 404
        assert (await api.client.get(f"/v1/shared/{ids['other_share']}")).status_code == 200
        acts = [json.loads(line) for line in zip_contents(await export_file(api))["feedback.jsonl"]]
        assert {act["kind"]: "words" in act for act in acts} == {
            "comparison": False,
            "edit": False,
            "rating": False,
            "note": True,
            "retraction": False,
        }


@pytest.mark.slow
async def test_export_round_trips_through_another_server(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One.", "Two."])) as api:
        ids = await create_data(api)
        first = await export_file(api)
        async with start_api() as other:
            report = await import_file(other, first)
            assert (report["format"], report["conversations"], report["known"]) == ("yearling", 3, 0)
            assert (report["samples"], report["folders"], report["memories"], report["blobs"]) == (5, 1, 2, 1)
            assert (report["judgements"], report["shares"]) == (4, 2)
            assert {one["what"] for one in report["left_out"]} == {"address of a share"}, "the report lists what was skipped"
            second = await export_file(other)
            assert zip_contents(second, but=("shares.jsonl",)) == zip_contents(first, but=("shares.jsonl",))
            links = (await other.client.get("/v1/shares")).json()["data"]
            assert len(links) == 2
            assert not {one["id"] for one in links} & {ids["share"], ids["other_share"]}
            assert (await other.client.get(f"/v1/shared/{ids['share']}")).status_code == 404
            again = await import_file(other, first)
            assert (again["known"], again["judgements"], again["shares"]) == (3, 0, 0), "importing again changes nothing"
            assert zip_contents(await export_file(other)) == zip_contents(second)
            await other.client.delete(f"/v1/shares/{links[0]['id']}")
            assert (await import_file(other, first))["shares"] == 0, "a revoked link stays revoked"
            hits = (await other.client.get("/v1/chats", params={"q": "你好"})).json()["data"]
            assert len(hits) == 1
            rated = next(
                one for one in (await get_tree(other.client, ids["conversation"]))["tree"] if one["sample"] == ids["sample"]
            )
            assert rated["rating"]["value"] == 0.5
            # The event ID of the other server retracts the event here.
            assert (await other.client.delete(f"/v1/feedback/events/{ids['edit']}")).status_code == 200
        back = await import_file(api, second)
        assert (back["judgements"], back["shares"]) == (0, 0), "importing back adds nothing twice"


async def test_import_cannot_claim_links_or_files_of_others(start_api: ApiFactory) -> None:
    """Forged archives: the manifest is not a signature."""
    async with start_api(FakeEngine(["One.", "Two."])) as api:
        ids = await create_data(api)
        with zipfile.ZipFile(io.BytesIO(await export_file(api))) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        ben, as_ben = add_person(api.store, "Ben")
        no_judge = key_headers(api.store, api.store.people.add("Dan"), ["read", "chat"])
        response = await api.client.post("/v1/import", content=make_zip(files), headers={**no_judge, **ZIP})
        assert {"what": "judgement", "reason": "this API key does not have the scope feedback", "count": 4} in response.json()[
            "left_out"
        ]
        await api.client.delete(f"/v1/shares/{ids['share']}")
        response = await api.client.post("/v1/import", content=make_zip(files), headers={**as_ben, **ZIP})
        assert (response.status_code, response.json()["judgements"]) == (200, 0), response.text
        assert {one["reason"] for one in response.json()["left_out"] if one["what"] == "judgement"} == {
            "the log has it under another account, where it counts"
        }
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 404, "the old link stays revoked"
        assert len(api.store.shares.list(ben.id)) == 2
        [name] = [name for name in files if name.startswith("blobs/")]
        forged = {**files, name: b"not what its name says"}
        manifest = json.loads(files["manifest.json"])
        manifest["files"][name] = [len(forged[name]), hashlib.sha256(forged[name]).hexdigest()]
        forged["manifest.json"] = json.dumps(manifest).encode()
        eve, as_eve = add_person(api.store, "Eve")
        response = await api.client.post("/v1/import", content=make_zip(forged), headers={**as_eve, **ZIP})
        assert response.json()["error"]["code"] == "untrusted"
        claims = api.store.attachments.blob_hashes_by_message(
            [m.id for c in api.store.conversations.list(eve.id) for m in messages_of(api, c)]
        )
        assert claims == {}, "a hash alone does not give access to a file"


def messages_of(api: RunningApi, conversation: Conversation) -> list[Message]:
    return api.store.conversations.list_messages(conversation.id, person_id=conversation.person_id)


async def test_malformed_export_is_rejected(start_api: ApiFactory) -> None:
    async with start_api() as api:
        with zipfile.ZipFile(io.BytesIO(await export_file(api))) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        files["samples.jsonl"] = b'{"id": 7}\n'
        manifest = json.loads(files["manifest.json"])
        manifest["files"]["samples.jsonl"] = [10, hashlib.sha256(files["samples.jsonl"]).hexdigest()]
        files["manifest.json"] = json.dumps(manifest).encode()
        response = await api.client.post("/v1/import", content=make_zip(files), headers=ZIP)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_value"), response.text


async def test_tampered_export_is_rejected(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One."])) as api:
        await exchange(api.client)
        with zipfile.ZipFile(io.BytesIO(await export_file(api))) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        files["conversations.jsonl"] = files["conversations.jsonl"].replace(b"One.", b"Two.")
        response = await api.client.post("/v1/import", content=make_zip(files), headers={"content-type": "application/zip"})
        assert response.json()["error"]["code"] == "untrusted"


async def test_unknown_files_are_rejected(start_api: ApiFactory) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b"0" * 60_000_000)
    async with start_api() as api:
        for content in (b"", b"{}", b"[]", b"not json", make_zip({"a.txt": b"x"}), bomb.getvalue()):
            response = await api.client.post("/v1/import", content=content, headers={"content-type": "application/zip"})
            assert response.status_code == 400, content[:20]
            assert response.json()["error"]["message"]


async def test_import_above_the_size_limit_is_rejected(start_api: ApiFactory) -> None:
    async with start_api(max_import_bytes=2000) as api:
        response = await api.client.post("/v1/import", content=b" " * 3000, headers={"content-type": "application/json"})
        assert response.status_code == 413


async def test_one_import_of_a_person_runs_at_a_time(start_api: ApiFactory) -> None:
    may_end = asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        content = json.dumps(CHATGPT).encode()
        yield content[:10]
        await may_end.wait()
        yield content[10:]

    async with start_api() as api:
        _, as_ben = add_person(api.store, "Ben")
        first = asyncio.create_task(api.client.post("/v1/import", content=slow_body(), headers=JSON))
        await asyncio.sleep(0.2)
        second = await api.client.post("/v1/import", content=json.dumps(OPEN_WEBUI).encode(), headers=JSON)
        assert (second.status_code, second.json()["error"]["code"]) == (409, "import_running")
        assert int(second.headers["retry-after"]) > 0
        other = await api.client.post("/v1/import", content=json.dumps(OPEN_WEBUI).encode(), headers={**as_ben, **JSON})
        assert other.status_code == 200, "an upload that is slow keeps nobody else waiting"
        may_end.set()
        assert (await first).json()["conversations"] == 1
        assert (await import_file(api, json.dumps(CHATGPT).encode()))["known"] == 1


async def test_imports_of_the_command_line_share_the_limit_with_the_server(start_api: ApiFactory) -> None:
    """The command line holds these locks from another process."""
    content = json.dumps(CHATGPT).encode()
    async with start_api() as api:
        locks = ImportLocks(api.settings.data_dir)
        with locks.reserve(api.store.people.owner().id):
            refused = await api.client.post("/v1/import", content=content, headers=JSON)
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "import_running")
        with ExitStack() as taken:
            for _ in range(MAX_RUNNING_IMPORTS):
                slot = locks.try_slot()
                assert slot is not None
                taken.enter_context(slot)
            waiting = asyncio.create_task(api.client.post("/v1/import", content=content, headers=JSON))
            await asyncio.sleep(0.5)
            assert not waiting.done()
            with pytest.raises(Conflict), locks.reserve(api.store.people.owner().id):
                pass
        assert (await waiting).json()["conversations"] == 1
        with locks.reserve(api.store.people.owner().id):
            pass  # the request has given everything back


async def test_two_imports_run_at_once_and_cancelling_frees_a_slot_when_the_work_ends(tmp_path: Path) -> None:
    slots, running, peak = ImportSlots(ImportLocks(tmp_path)), 0, 0
    may_end = threading.Event()

    def work() -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        may_end.wait(30)
        running -= 1

    tasks = [asyncio.create_task(slots.run(work, ExitStack())) for _ in range(5)]
    await asyncio.sleep(0.2)
    assert running == MAX_RUNNING_IMPORTS
    tasks[0].cancel()
    await asyncio.sleep(0.1)
    assert running == MAX_RUNNING_IMPORTS, "the cancelled import still works"
    may_end.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert (peak, running) == (MAX_RUNNING_IMPORTS, 0)


# Files


def webui_export_with(*files: dict[str, Any]) -> list[dict[str, Any]]:
    node = webui_node("m1", None, [], "user", "What is this?", files=list(files))
    chat = {"title": "Pictures", "history": {"messages": {"m1": node}, "currentId": "m1"}, "messages": [node]}
    return [{"id": "owui-2", "title": "Pictures", "chat": chat, "created_at": 1700000000}]


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def test_imported_files_are_served_safely(start_api: ApiFactory) -> None:
    export = webui_export_with(
        {"type": "image", "url": data_url("image/png", PNG)},
        {"type": "image", "url": data_url("image/png", SVG), "name": "harmless.png"},
        {"type": "image", "url": data_url("text/html", b"<script>alert(1)</script>"), "name": '../a\r\nb"é.html'},
        {"type": "image", "url": data_url("image/gif", GIF)},
        {"type": "file", "url": "/api/v1/files/f00/content", "name": "report.pdf"},
    )
    async with start_api(max_attachment_bytes=80) as api:
        report = await import_file(api, json.dumps(export).encode(), "application/json")
        assert (report["blobs"], report["left_out"]) == (
            4,
            [{"what": "attachment", "reason": "it is not in the file", "count": 1}],
        )
        conversation, [message] = stored_conversation(api)
        assert base64.b64encode(PNG).decode() not in json.dumps(message.facts), "a file is stored once"
        url = message.facts["source"]["files"][0]["url"]
        assert url == f"data:image/png;base64,sha256:{hashlib.sha256(PNG).hexdigest()}"
        messages_json = (await get_tree(api.client, conversation.id))["tree"][0]["attachments"]
        schemas.AttachmentView.model_validate(messages_json[0])
        for one in messages_json:
            response = await api.client.get(one["path"])
            assert response.status_code == 200
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
            assert response.headers["content-type"] == one["media_type"]
            inline = response.headers["content-disposition"].startswith("inline")
            assert inline == one["image"] == (response.content in (PNG, GIF))
            assert one["image"] or one["media_type"] == "application/octet-stream"
            again = await api.client.get(one["path"], headers={"if-none-match": response.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        first = await export_file(api)
        await api.client.delete(f"/v1/chats/{conversation.id}")
        assert (await api.client.get(messages_json[0]["path"])).status_code == 404
        assert list(api.store.blobs.iter_sizes()) == [], "deleted with the conversation"
        await import_file(api, first)
        assert (await api.client.get(messages_json[0]["path"])).content == PNG
        assert zip_contents(await export_file(api)) == zip_contents(first)


async def test_large_attachment_is_skipped_and_reported(start_api: ApiFactory) -> None:
    async with start_api(max_attachment_bytes=len(PNG) - 1) as api:
        export = webui_export_with({"type": "image", "url": data_url("image/png", PNG)})
        for content in (
            json.dumps(export).encode(),
            make_zip({"conversations.json": json.dumps(CHATGPT).encode(), "file-abc.png": PNG}),
        ):
            report = await import_file(api, content)
            skipped = {"what": "attachment", "reason": f"it is larger than {len(PNG) - 1} bytes", "count": 1}
            assert (report["blobs"], skipped in report["left_out"]) == (0, True)
