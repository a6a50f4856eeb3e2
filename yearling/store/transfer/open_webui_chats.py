"""Parser for Open WebUI's chat export: a `chat` with a `history` of messages by id, and a list of the branch in use."""

from __future__ import annotations

from yearling.store.transfer.json_records import RecordRejected
from yearling.store.transfer.source_chats import (
    Asset,
    SourceChat,
    SourceMessage,
    chain_nodes,
    extract_data_url,
    join_texts,
    optional_key,
    require_list,
    require_object,
    require_text,
    scalar_text,
)

_TEXT_KINDS = ("text", "input_text", "output_text")


def parse_open_webui(raw: dict[str, object], max_asset_bytes: int) -> SourceChat:
    """One chat. Larger embedded files stay where they are. Raises RecordRejected if a part of it has another shape."""
    chat = require_object(raw["chat"], "the chat") if "chat" in raw else raw
    history = require_object(chat.get("history"), "the history")
    listed = [require_object(item, "a listed message") for item in require_list(chat.get("messages"), "the messages of the chat")]
    by_key = require_object(history.get("messages"), "the messages of the history")
    if not by_key and not listed and not ("history" in chat or "messages" in chat):
        raise RecordRejected("the chat has neither a history nor messages")
    children: dict[str, list[object]] = {}
    nodes: dict[str, SourceMessage] = {}
    differing: dict[str, dict[str, object]] = {}
    if by_key:
        for item in listed:
            item_key = scalar_text(item.get("id"), "the id of a listed message")
            if by_key.get(item_key) != item:
                differing[item_key] = item
        for key, node in by_key.items():
            if not isinstance(node, dict):
                raise RecordRejected("a message of the history is not an object")
            nodes[key] = _parse_node(key, node, max_asset_bytes)
            children[key] = require_list(node.get("childrenIds"), "the children of a message")
            if key in differing:
                nodes[key].facts["source_listed"] = _extract_assets(differing.pop(key), max_asset_bytes)[1]
    else:
        nodes, children = _read_list(listed, max_asset_bytes)
    kept = {name: value for name, value in chat.items() if name not in ("messages", "history")}
    kept["history"] = {name: value for name, value in history.items() if name != "messages"}
    kept["listed"] = [item.get("id") for item in listed]
    return SourceChat(
        origin="open_webui",
        id=raw.get("id") or chat.get("id"),
        title=raw.get("title") or chat.get("title"),
        created=raw.get("created_at") or chat.get("timestamp"),
        updated=raw.get("updated_at"),
        leaf=history.get("currentId"),
        source=kept if chat is raw else {**raw, "chat": kept},
        nodes=nodes,
        children=children,
        skipped=[("listed message", "it is not in the tree of its conversation")] * len(differing),
    )


def _read_list(listed: list[dict[str, object]], max_asset_bytes: int) -> tuple[dict[str, SourceMessage], dict[str, list[object]]]:
    """The messages of an older export, which has only the list: a tree if they name parents, else one branch."""
    parsed = [_parse_node(scalar_text(item.get("id"), "the id of a message"), item, max_asset_bytes) for item in listed]
    keys = [node.key for node in parsed]
    if any("parentId" in item for item in listed) and all(keys) and len(set(keys)) == len(keys):
        children = {
            node.key: require_list(item.get("childrenIds"), "the children of a message")
            for node, item in zip(parsed, listed, strict=True)
        }
        return {node.key: node for node in parsed}, children
    return chain_nodes(parsed), {}


def _parse_node(key: str, node: dict[str, object], max_asset_bytes: int) -> SourceMessage:
    assets, source = _extract_assets(node, max_asset_bytes)
    role = scalar_text(node.get("role"), "the role of a message")
    return SourceMessage(
        key=key,
        parent=optional_key(node.get("parentId"), "the parent of a message"),
        role=role,
        content=_extract_text(node.get("content")),
        created=node.get("timestamp"),
        model=node.get("model") if role == "assistant" else None,
        source=source,
        assets=assets,
    )


def _extract_text(content: object) -> str:
    if not isinstance(content, list):
        return require_text(content, "the content of a message")
    pieces = []
    for part in content:
        if isinstance(part, str):
            pieces.append(part)
            continue
        fields = require_object(part, "a part of a content")
        if fields.get("type", "text") in _TEXT_KINDS:
            pieces.append(require_text(fields.get("text", fields.get("content")), "the text of a part"))
    return join_texts(pieces)


def _extract_assets(node: dict[str, object], max_bytes: int) -> tuple[list[Asset], dict[str, object]]:
    """The files of a message, and the message with a hash in place of each embedded file."""
    assets: list[Asset] = []
    changed: dict[str, object] = {}
    files = []
    for item in require_list(node.get("files"), "the files of a message"):
        fields = item if isinstance(item, dict) else {}
        name = scalar_text(fields.get("name"), "the name of a file")
        url = fields.get("url")
        asset, address = extract_data_url(url, name, max_bytes)
        if asset is None and isinstance(url, str):
            asset = Asset(url.removesuffix("/content").rpartition("/")[2], name)
        if asset is not None:
            assets.append(asset)
        files.append(item if address is url else {**fields, "url": address})
    if files:
        changed["files"] = files
    content = node.get("content")
    if isinstance(content, list):
        changed["content"] = [_extract_part(part, assets, max_bytes) for part in content]
    return assets, {**node, **changed} if assets else node


def _extract_part(part: object, assets: list[Asset], max_bytes: int) -> object:
    """A part of a content with a hash in place of an embedded picture, which is added to `assets`."""
    image = part.get("image_url") if isinstance(part, dict) else None
    url = image.get("url") if isinstance(image, dict) else image
    asset, address = extract_data_url(url, "", max_bytes)
    if asset is None or not isinstance(part, dict):
        return part
    assets.append(asset)
    return {**part, "image_url": {**image, "url": address} if isinstance(image, dict) else address}
