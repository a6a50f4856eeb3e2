"""Conversations of other programs in, everything that is one's own out and in again: nothing lost on the way."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from tests.api.acting import key_of, newcomer
from tests.api.conftest import Bench, Maker
from tests.api.talking import events_of, exchange, start, tree
from yearling.api.conversations import schemas
from yearling.api.conversations.import_schemas import ConversationImportReport
from yearling.api.conversations.share_schemas import SharedView, ShareView
from yearling.inference import FakeEngine
from yearling.records import Conversation, Message


def chatgpt_node(
    key: str, parent: str | None, children: list[str], role: str = "", text: Any = None, **more: Any
) -> dict[str, Any]:
    message = None
    if role:
        content = text if isinstance(text, dict) else {"content_type": "text", "parts": [text]}
        message = {
            "id": key,
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": 1700000000.5,
            "update_time": None,
            "content": content,
            "status": "finished_successfully",
            "end_turn": True,
            "weight": 1.0,
            "metadata": {"model_slug": "gpt-4o", **more.pop("metadata", {})},
            "recipient": more.pop("recipient", "all"),
        }
    return {"id": key, "message": message, "parent": parent, "children": children}


PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
GIF = b"GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
CODE = {"content_type": "code", "language": "python", "text": "1+1"}
CHATGPT = [
    {
        "title": "Trip to Kyoto 京都",
        "create_time": 1700000000.123456,
        "update_time": 1700000100.0,
        "mapping": {
            "root": chatgpt_node("root", None, ["sys"]),
            "sys": chatgpt_node("sys", "root", ["q"], "system", "", metadata={"is_visually_hidden_from_conversation": True}),
            "q": chatgpt_node("q", "sys", ["a1", "a2"], "user", "What to see in Kyoto?"),
            "a1": chatgpt_node("a1", "q", [], "assistant", "Temples."),
            "a2": chatgpt_node(
                "a2",
                "q",
                ["tool"],
                "assistant",
                {"content_type": "code", "language": "python", "text": "1+1"},
                recipient="python",
            ),
            "tool": chatgpt_node("tool", "a2", ["img"], "tool", {"content_type": "execution_output", "text": "2"}),
            "img": chatgpt_node(
                "img",
                "tool",
                ["end"],
                "user",
                {
                    "content_type": "multimodal_text",
                    "parts": [
                        {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-abc", "size_bytes": 3},
                        "and this?",
                    ],
                },
            ),
            "end": chatgpt_node("end", "img", [], "assistant", "A gate."),
            "lost": chatgpt_node("lost", "lost", ["lost"], "user", "a loop"),
        },
        "moderation_results": [],
        "current_node": "end",
        "conversation_id": "c0ffee",
        "gizmo_id": None,
    }
]


def webui_node(key: str, parent: str | None, children: list[str], role: str, text: str, **more: Any) -> dict[str, Any]:
    links = {"id": key, "parentId": parent, "childrenIds": children}
    model = {"model": "llama3"} if role == "assistant" else {}
    return {**links, "role": role, "content": text, "timestamp": 1700000000 + int(key[1:]), **model, **more}


OPEN_WEBUI = [
    {
        "id": "owui-1",
        "user_id": "u",
        "title": "数学",
        "chat": {
            "title": "数学",
            "models": ["llama3"],
            "params": {"temperature": 0.5},
            "history": {
                "messages": {
                    "m1": webui_node("m1", None, ["m2", "m3"], "user", "2+2?"),
                    "m2": webui_node("m2", "m1", [], "assistant", "5", done=True),
                    "m3": webui_node("m3", "m1", [], "assistant", "4", annotation={"rating": 1}),
                },
                "currentId": "m3",
            },
            # The list repeats the branch in use; here without the annotation, as it happens.
            "messages": [
                webui_node("m1", None, ["m2", "m3"], "user", "2+2?"),
                webui_node("m3", "m1", [], "assistant", "4"),
            ],
            "tags": ["maths"],
            "timestamp": 1700000000000,
        },
        "created_at": 1700000000,
        "updated_at": 1700000002,
        "pinned": True,
        "meta": {"tags": ["maths"]},
    }
]


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


async def imported(api: Bench, content: bytes, kind: str = "application/zip") -> dict[str, Any]:
    reply = await api.client.post("/v1/import", content=content, headers={"content-type": kind})
    assert reply.status_code == 200, reply.text
    ConversationImportReport.model_validate(reply.json())
    report: dict[str, Any] = reply.json()
    return report


async def exported(api: Bench) -> bytes:
    reply = await api.client.get("/v1/export")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/zip"
    return reply.content


def contents(export: bytes, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of an export, lines sorted; without what tells when and by whom it was made."""
    with zipfile.ZipFile(io.BytesIO(export)) as archive:
        names = [name for name in archive.namelist() if name != "manifest.json" and name not in but]
        return {name: sorted(archive.read(name).splitlines()) for name in names}


def stored(api: Bench) -> list[Any]:
    owner = api.store.people.owner().id
    one = api.store.conversations.list(owner)[0]
    return [one, api.store.conversations.list_messages(one.id, person_id=owner)]


async def test_a_chatgpt_export_arrives_whole(bench: Maker) -> None:
    async with bench() as api:
        files = {"file-abcd.png": GIF, "file-abc-photo.png": PNG, "chat.html": b""}
        file = zipped({"conversations.json": json.dumps(CHATGPT).encode(), **files})
        report = await imported(api, file)
        assert (report["format"], report["conversations"], report["messages"], report["blobs"]) == ("chatgpt", 1, 7, 1)
        assert report["left_out"] == [{"what": "message", "reason": "it hangs on no root of its conversation", "count": 1}]
        conversation, messages = stored(api)
        assert (conversation.title, conversation.origin) == ("Trip to Kyoto 京都", "chatgpt")
        assert conversation.created_utc.timestamp() == pytest.approx(1700000000.123456, abs=1e-5)
        by_key = {one.facts["source"]["id"]: one for one in messages}
        assert by_key["a1"].parent_id == by_key["a2"].parent_id == by_key["q"].id
        assert by_key["sys"].parent_id is None
        assert conversation.leaf_id == by_key["end"].id
        assert by_key["a1"].model == "gpt-4o"
        assert by_key["a2"].content == "```python\n1+1\n```"
        assert by_key["img"].content == "and this?"
        shown = (await tree(api.client, conversation.id))["tree"]
        assert [one["text"] for one in shown if not one["hidden"]] == [
            "What to see in Kyoto?",
            "Temples.",
            "and this?",
            "A gate.",
        ]
        # Everything of the file is there, and can be put together again.
        source = conversation.facts["source"]
        mapping = {**source["bare_nodes"], **{key: one.facts["source"] for key, one in by_key.items()}}
        again = {**{name: value for name, value in source.items() if name != "bare_nodes"}, "mapping": mapping}
        original = {**CHATGPT[0], "mapping": {key: node for key, node in CHATGPT[0]["mapping"].items() if key != "lost"}}
        assert again == original
        assert (await imported(api, file))["known"] == 1, "a second time changes nothing"
        found = (await api.client.get("/v1/conversations", params={"q": "京都"})).json()["data"]
        assert [one["id"] for one in found] == [conversation.id]


async def test_an_open_webui_export_arrives_whole(bench: Maker) -> None:
    async with bench() as api:
        report = await imported(api, json.dumps(OPEN_WEBUI).encode(), "application/json")
        assert (report["format"], report["conversations"], report["messages"], report["left_out"]) == ("open_webui", 1, 3, [])
        conversation, messages = stored(api)
        by_key = {one.facts["source"]["id"]: one for one in messages}
        assert by_key["m2"].parent_id == by_key["m3"].parent_id == by_key["m1"].id
        assert conversation.leaf_id == by_key["m3"].id
        assert [one.content for one in messages] == ["2+2?", "5", "4"]
        source = conversation.facts["source"]
        chat = dict(source["chat"])
        listed = [by_key[key].facts.get("source_listed", by_key[key].facts["source"]) for key in chat.pop("listed")]
        nodes = {key: one.facts["source"] for key, one in by_key.items()}
        chat |= {"messages": listed, "history": {**chat["history"], "messages": nodes}}
        assert {**source, "chat": chat} == OPEN_WEBUI[0]


async def test_an_imported_conversation_goes_on(bench: Maker) -> None:
    async with bench(FakeEngine(["Go on."])) as api:
        await imported(api, json.dumps(CHATGPT).encode(), "application/json")
        conversation, _ = stored(api)
        await exchange(api.client, "More?", conversation=conversation.id, message=conversation.leaf_id)
        said = [(one["role"], one["content"]) for one in api.samples()[-1].messages if one["role"] != "system"]
        assert said[-3:] == [("user", "and this?"), ("assistant", "A gate."), ("user", "More?")]


async def fill(api: Bench) -> dict[str, str]:
    """Something of every kind; the ids of some."""
    turn, _ = await exchange(api.client, "My name is Ada. Hello \u2028 你好")
    where, answer = turn["conversation"], turn["answers"][0]["message"]
    await exchange(api.client, conversation=where, kind="regenerate", message=answer)
    folder = (await api.client.post("/v1/folders", json={"name": "Green"})).json()["id"]
    await api.client.patch(f"/v1/conversations/{where}", json={"folder": folder})
    compared = await start(api.client, "Which?", compare=True)
    await events_of(api.client, compared["id"])
    await api.client.post(f"/v1/comparisons/{compared['comparison']}/choice", json={"outcome": "left"})
    await api.client.post("/v1/memories", json={"text": "I like tea"})
    await api.client.patch("/v1/settings", json={"instructions": "Be brief", "length": "short"})
    shares = [(await api.client.post("/v1/shares", json={"conversation": where})).json()["id"] for _ in range(2)]
    sample = next(one["sample"] for one in (await tree(api.client, where))["tree"] if one["id"] == answer)
    edited = await api.client.post(f"/v1/conversations/{where}/messages/{answer}/edit", json={"text": "Better 你好"})
    await api.client.post("/v1/feedback/ratings", json={"item": sample, "value": 0.5, "tags": ["clear"]})
    await api.client.post("/v1/feedback/notes", json={"item": sample, "text": "The figure is from 2019."})
    await api.client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "by API"}]})
    await imported(api, zipped({"conversations.json": json.dumps(CHATGPT).encode(), "file-abc.png": PNG}))
    return {"conversation": where, "share": shares[0], "other_share": shares[1], "sample": sample, "edit": edited.json()["event"]}


async def empty(api: Bench) -> None:
    """Delete what can be deleted, as a person would."""
    for one in (await api.client.get("/v1/conversations")).json()["data"]:
        await api.client.delete(f"/v1/conversations/{one['id']}")
    for one in (await api.client.get("/v1/folders")).json()["data"]:
        await api.client.delete(f"/v1/folders/{one['id']}")
    await api.client.delete("/v1/memories")
    await api.client.patch("/v1/settings", json={"instructions": "", "length": "normal"})
    for sample in api.samples():
        api.store.samples.delete(sample.id, person_id=sample.person_id)


async def test_what_was_deleted_comes_back_out_of_ones_own_export(bench: Maker) -> None:
    async with bench(FakeEngine(["One.", "Two."])) as api:
        ids = await fill(api)
        first, head = await exported(api), api.store.events.head()
        shown = await tree(api.client, ids["conversation"])
        await empty(api)
        assert contents(await exported(api))["conversations.jsonl"] == []
        assert b"2019" not in b"".join(contents(await exported(api))["feedback.jsonl"])
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 404
        report = await imported(api, first)
        assert (report["conversations"], report["samples"], report["memories"], report["folders"]) == (3, 5, 2, 1)
        assert (report["judgements"], report["shares"], report["blobs"], report["left_out"]) == (0, 2, 1, [])
        assert contents(await exported(api)) == contents(first)
        assert await tree(api.client, ids["conversation"]) == {**shown, "turns": []}
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 200
        assert api.store.events.head() == head, "the log had every act, and none was added"
        assert api.store.verify().ok


async def test_what_was_revoked_or_taken_back_stays_so(bench: Maker) -> None:
    async with bench(FakeEngine(["One.", "Two."])) as api:
        ids = await fill(api)
        first = await exported(api)
        await api.client.delete(f"/v1/shares/{ids['share']}")
        await api.client.delete(f"/v1/feedback/events/{ids['edit']}")
        await empty(api)
        report = await imported(api, first)
        assert {"what": "share", "reason": "it was revoked", "count": 1} in report["left_out"]
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 404
        assert (await api.client.get(f"/v1/shared/{ids['other_share']}")).status_code == 200
        acts = [json.loads(line) for line in contents(await exported(api))["feedback.jsonl"]]
        assert {act["kind"]: "words" in act for act in acts} == {
            "comparison": False,
            "edit": False,
            "rating": False,
            "note": True,
            "retraction": False,
        }


async def test_a_full_export_goes_into_an_empty_yearling_and_comes_out_the_same(bench: Maker) -> None:
    async with bench(FakeEngine(["One.", "Two."])) as api:
        ids = await fill(api)
        first = await exported(api)
        async with bench() as other:
            report = await imported(other, first)
            assert (report["format"], report["conversations"], report["known"]) == ("yearling", 3, 0)
            assert (report["samples"], report["folders"], report["memories"], report["blobs"]) == (5, 1, 2, 1)
            assert (report["judgements"], report["shares"]) == (4, 2)
            assert {one["what"] for one in report["left_out"]} == {"address of a share"}, "told, not lost silently"
            second = await exported(other)
            assert contents(second, but=("shares.jsonl",)) == contents(first, but=("shares.jsonl",))
            links = (await other.client.get("/v1/shares")).json()["data"]
            assert len(links) == 2
            assert not {one["id"] for one in links} & {ids["share"], ids["other_share"]}
            assert (await other.client.get(f"/v1/shared/{ids['share']}")).status_code == 404
            again = await imported(other, first)
            assert (again["known"], again["judgements"], again["shares"]) == (3, 0, 0), "a second time changes nothing"
            assert contents(await exported(other)) == contents(second)
            await other.client.delete(f"/v1/shares/{links[0]['id']}")
            assert (await imported(other, first))["shares"] == 0, "revoked stays revoked, here too"
            found = (await other.client.get("/v1/conversations", params={"q": "你好"})).json()["data"]
            assert len(found) == 1
            rated = next(one for one in (await tree(other.client, ids["conversation"]))["tree"] if one["sample"] == ids["sample"])
            assert rated["rating"]["value"] == 0.5
            # What another place calls an act takes it back here.
            assert (await other.client.delete(f"/v1/feedback/events/{ids['edit']}")).status_code == 200
        back = await imported(api, second)
        assert (back["judgements"], back["shares"]) == (0, 0), "and home again, nothing is there twice"


async def test_a_file_cannot_take_over_an_address_or_another_persons_file(bench: Maker) -> None:
    """Zips made by hand: the manifest is no signature."""
    async with bench(FakeEngine(["One.", "Two."])) as api:
        ids = await fill(api)
        with zipfile.ZipFile(io.BytesIO(await exported(api))) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        ben, as_ben = newcomer(api.store, "Ben")
        no_judge = key_of(api.store, api.store.people.add("Dan"), ["read", "chat"])
        reply = await api.client.post("/v1/import", content=zipped(files), headers=no_judge)
        assert {"what": "judgement", "reason": "this API key does not have the scope feedback", "count": 4} in reply.json()["left_out"]
        await api.client.delete(f"/v1/shares/{ids['share']}")
        reply = await api.client.post("/v1/import", content=zipped(files), headers=as_ben)
        assert (reply.status_code, reply.json()["judgements"]) == (200, 0), reply.text
        assert {one["reason"] for one in reply.json()["left_out"] if one["what"] == "judgement"} == {
            "the log has it under another account, where it counts"
        }
        assert (await api.client.get(f"/v1/shared/{ids['share']}")).status_code == 404, "Ada's old link is nobody's"
        assert len(api.store.shares.list(ben.id)) == 2
        [name] = [name for name in files if name.startswith("blobs/")]
        forged = {**files, name: b"not what its name says"}
        manifest = json.loads(files["manifest.json"])
        manifest["files"][name] = [len(forged[name]), hashlib.sha256(forged[name]).hexdigest()]
        forged["manifest.json"] = json.dumps(manifest).encode()
        eve, as_eve = newcomer(api.store, "Eve")
        reply = await api.client.post("/v1/import", content=zipped(forged), headers=as_eve)
        assert reply.json()["error"]["code"] == "untrusted"
        claims = api.store.attachments.blob_hashes_by_message(
            [m.id for c in api.store.conversations.list(eve.id) for m in messages_of(api, c)]
        )
        assert claims == {}, "a hash alone gives no file"


def messages_of(api: Bench, conversation: Conversation) -> list[Message]:
    return api.store.conversations.list_messages(conversation.id, person_id=conversation.person_id)


async def test_an_export_that_makes_no_sense_is_refused_in_words(bench: Maker) -> None:
    async with bench() as api:
        with zipfile.ZipFile(io.BytesIO(await exported(api))) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        files["samples.jsonl"] = b'{"id": 7}\n'
        manifest = json.loads(files["manifest.json"])
        manifest["files"]["samples.jsonl"] = [10, hashlib.sha256(files["samples.jsonl"]).hexdigest()]
        files["manifest.json"] = json.dumps(manifest).encode()
        reply = await api.client.post("/v1/import", content=zipped(files))
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_value"), reply.text


async def test_an_export_that_was_tampered_with_is_refused(bench: Maker) -> None:
    async with bench(FakeEngine(["One."])) as api:
        await exchange(api.client)
        with zipfile.ZipFile(io.BytesIO(await exported(api))) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        files["conversations.jsonl"] = files["conversations.jsonl"].replace(b"One.", b"Two.")
        reply = await api.client.post("/v1/import", content=zipped(files), headers={"content-type": "application/zip"})
        assert reply.json()["error"]["code"] == "untrusted"


async def test_other_files_are_refused_in_words(bench: Maker) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b"0" * 60_000_000)
    async with bench() as api:
        for content in (b"", b"{}", b"[]", b"not json", zipped({"a.txt": b"x"}), bomb.getvalue()):
            reply = await api.client.post("/v1/import", content=content, headers={"content-type": "application/zip"})
            assert reply.status_code == 400, content[:20]
            assert reply.json()["error"]["message"]


async def test_a_file_that_is_too_large_is_refused(bench: Maker) -> None:
    async with bench(max_import_bytes=2000) as api:
        reply = await api.client.post("/v1/import", content=b" " * 3000, headers={"content-type": "application/json"})
        assert reply.status_code == 413


# Files


def webui_with(*files: dict[str, Any]) -> list[dict[str, Any]]:
    node = webui_node("m1", None, [], "user", "What is this?", files=list(files))
    chat = {"title": "Pictures", "history": {"messages": {"m1": node}, "currentId": "m1"}, "messages": [node]}
    return [{"id": "owui-2", "title": "Pictures", "chat": chat, "created_at": 1700000000}]


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def test_files_of_an_import_are_served_and_nothing_of_them_runs(bench: Maker) -> None:
    export = webui_with(
        {"type": "image", "url": data_url("image/png", PNG)},
        {"type": "image", "url": data_url("image/png", SVG), "name": "harmless.png"},
        {"type": "image", "url": data_url("text/html", b"<script>alert(1)</script>"), "name": '../a\r\nb"é.html'},
        {"type": "image", "url": data_url("image/gif", GIF)},
        {"type": "file", "url": "/api/v1/files/f00/content", "name": "report.pdf"},
    )
    async with bench(max_attachment_bytes=80) as api:
        report = await imported(api, json.dumps(export).encode(), "application/json")
        assert (report["blobs"], report["left_out"]) == (
            4,
            [{"what": "attachment", "reason": "it is not in the file", "count": 1}],
        )
        conversation, [message] = stored(api)
        assert base64.b64encode(PNG).decode() not in json.dumps(message.facts), "a file is kept once"
        listed = message.facts["source"]["files"][0]["url"]
        assert listed == f"data:image/png;base64,sha256:{hashlib.sha256(PNG).hexdigest()}"
        shown = (await tree(api.client, conversation.id))["tree"][0]["attachments"]
        schemas.AttachmentView.model_validate(shown[0])
        for one in shown:
            reply = await api.client.get(one["path"])
            assert reply.status_code == 200
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
            assert reply.headers["content-type"] == one["media_type"]
            inline = reply.headers["content-disposition"].startswith("inline")
            assert inline == one["image"] == (reply.content in (PNG, GIF))
            assert one["image"] or one["media_type"] == "application/octet-stream"
            again = await api.client.get(one["path"], headers={"if-none-match": reply.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        first = await exported(api)
        await api.client.delete(f"/v1/conversations/{conversation.id}")
        assert (await api.client.get(shown[0]["path"])).status_code == 404
        assert list(api.store.blobs.iter_sizes()) == [], "deleted with the conversation"
        await imported(api, first)
        assert (await api.client.get(shown[0]["path"])).content == PNG
        assert contents(await exported(api)) == contents(first)


async def test_a_file_that_is_too_large_is_left_out_and_told(bench: Maker) -> None:
    async with bench(max_attachment_bytes=len(PNG) - 1) as api:
        export = webui_with({"type": "image", "url": data_url("image/png", PNG)})
        for content in (
            json.dumps(export).encode(),
            zipped({"conversations.json": json.dumps(CHATGPT).encode(), "file-abc.png": PNG}),
        ):
            report = await imported(api, content)
            told = {"what": "attachment", "reason": f"it is larger than {len(PNG) - 1} bytes", "count": 1}
            assert (report["blobs"], told in report["left_out"]) == (0, True)


# Sharing


async def test_a_link_shows_one_branch_until_it_is_revoked(bench: Maker) -> None:
    async with bench(FakeEngine(["One.", "Two."])) as api:
        turn, _ = await exchange(api.client, "Hello")
        where, first = turn["conversation"], turn["answers"][0]["message"]
        share = (await api.client.post("/v1/shares", json={"conversation": where, "leaf": first})).json()
        ShareView.model_validate(share)
        await exchange(api.client, conversation=where, kind="regenerate", message=first)
        await exchange(api.client, "More", conversation=where, message=first)
        reply = await api.client.get(f"/v1/shared/{share['id']}")
        SharedView.model_validate(reply.json())
        assert reply.headers["cache-control"] == "no-store"
        assert [one["text"] for one in reply.json()["messages"]] == ["Hello", "One."]
        assert api.store.people.owner().id not in reply.text
        assert (await tree(api.client, where))["shared"] is True
        assert [one["id"] for one in (await api.client.get("/v1/shares")).json()["data"]] == [share["id"]]
        assert (await api.client.delete(f"/v1/shares/{share['id']}")).json()["data"] == []
        assert (await api.client.get(f"/v1/shared/{share['id']}")).status_code == 404


async def test_a_link_to_a_deleted_conversation_shows_nothing(bench: Maker) -> None:
    async with bench(FakeEngine(["One."])) as api:
        turn, _ = await exchange(api.client, "Hello")
        share = (await api.client.post("/v1/shares", json={"conversation": turn["conversation"]})).json()
        await api.client.delete(f"/v1/conversations/{turn['conversation']}")
        assert (await api.client.get(f"/v1/shared/{share['id']}")).status_code == 404
