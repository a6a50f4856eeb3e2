"""Exports of ChatGPT, Open WebUI and Yearling, for tests of imports."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any


def chatgpt_node(
    key: str, parent: str | None, children: list[str], role: str = "", text: Any = None, **fields: Any
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
            "metadata": {"model_slug": "gpt-4o", **fields.pop("metadata", {})},
            "recipient": fields.pop("recipient", "all"),
        }
    return {"id": key, "message": message, "parent": parent, "children": children}


PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
GIF = b"GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
CODE = {"content_type": "code", "language": "python", "text": "1+1"}
CHATGPT: list[dict[str, Any]] = [
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


def webui_node(key: str, parent: str | None, children: list[str], role: str, text: str, **fields: Any) -> dict[str, Any]:
    links = {"id": key, "parentId": parent, "childrenIds": children}
    model = {"model": "llama3"} if role == "assistant" else {}
    return {**links, "role": role, "content": text, "timestamp": 1700000000 + int(key[1:]), **model, **fields}


OPEN_WEBUI: list[dict[str, Any]] = [
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
            # Open WebUI repeats the branch in use; exports can lack the annotation there.
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


def make_zip(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def zip_contents(export: bytes, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The files of an export with sorted lines, without the manifest, which contains time and author."""
    with zipfile.ZipFile(io.BytesIO(export)) as archive:
        names = [name for name in archive.namelist() if name != "manifest.json" and name not in but]
        return {name: sorted(archive.read(name).splitlines()) for name in names}
