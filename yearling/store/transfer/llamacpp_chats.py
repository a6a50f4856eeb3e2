"""Parser for the export of llama.cpp's page: a `conv` and its `messages`, each with `id`, `parent` and `children`.

Files of the older page have the messages in the conversation itself, as a list.
"""

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


def parse_llamacpp(raw: dict[str, object], max_asset_bytes: int) -> SourceChat:
    """One conversation. Raises RecordRejected if a part of it has another shape than the page gives it."""
    conv = require_object(raw["conv"], "the conversation") if "conv" in raw else raw
    items = [require_object(item, "a message") for item in require_list(raw.get("messages"), "the messages")]
    parsed = [_parse_node(item, max_asset_bytes) for item in items]
    children = {
        node.key: [str(key) for key in require_list(item.get("children"), "the children of a message")]
        for node, item in zip(parsed, items, strict=True)
    }
    is_tree = any("parent" in item for item in items)
    keys = [node.key for node in parsed]
    if is_tree and (not all(keys) or len(set(keys)) != len(keys)):
        raise RecordRejected("two of its messages have the same id, or one has none")
    times = [node.created for node in parsed if isinstance(node.created, int | float) and not isinstance(node.created, bool)]
    return SourceChat(
        origin="llamacpp",
        id=conv.get("id"),
        title=conv.get("name"),
        created=min(times, default=conv.get("lastModified")),
        updated=conv.get("lastModified"),
        leaf=optional_key(conv.get("currNode"), "the current message"),
        source={name: value for name, value in raw.items() if name != "messages"},
        nodes={node.key: node for node in parsed} if is_tree else chain_nodes(parsed),
        children=children,
    )


def _parse_node(item: dict[str, object], max_asset_bytes: int) -> SourceMessage:
    parent = optional_key(item.get("parent"), "the parent of a message")
    role = scalar_text(item.get("role"), "the role of a message")
    assets, source = _extract_assets(item, max_asset_bytes)
    return SourceMessage(
        key=scalar_text(item.get("id"), "the id of a message"),
        parent=None if parent == "-1" else parent,
        role=role,
        content=_extract_text(item.get("content")),
        created=item.get("timestamp"),
        model=item.get("model") if role == "assistant" else None,
        source=source,
        assets=assets,
        is_bare=item.get("type") == "root",
    )


def _extract_text(content: object) -> str:
    if not isinstance(content, list):
        return require_text(content, "the content of a message")
    return join_texts(
        require_text(require_object(part, "a part of a content").get("text"), "the text of a part") for part in content
    )


def _extract_assets(item: dict[str, object], max_bytes: int) -> tuple[list[Asset], dict[str, object]]:
    """The files of a message, and the message with a hash in place of each embedded picture."""
    assets: list[Asset] = []
    extra = []
    for entry in require_list(item.get("extra"), "the files of a message"):
        fields = require_object(entry, "a file of a message")
        name = scalar_text(fields.get("name"), "the name of a file")
        asset, address = extract_data_url(fields.get("base64Url"), name, max_bytes)
        if asset is None and fields.get("type") in ("textFile", "context", "pdfFile"):
            text = require_text(fields.get("content"), "the content of a file")
            asset = Asset("", name, text.encode("utf-8", "replace"))
        if asset is not None:
            assets.append(asset)
        extra.append(entry if address is fields.get("base64Url") else {**fields, "base64Url": address})
    return assets, {**item, "extra": extra} if assets else item
