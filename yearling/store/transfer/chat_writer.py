"""Stores the conversations of another program: new ones whole, known ones merged.

A conversation is known by the source's own id, or else by a hash of its messages; a message likewise, within its conversation. A
chat that grew gains its new messages, one that was repaired gets the repaired text, a renamed one its new title unless the person
gave it another here. What the person added stays. Each conversation is stored completely or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from yearling.records import Conversation, Message
from yearling.store.chats.attachments import ATTACHMENTS_FACT
from yearling.store.store import Store
from yearling.store.transfer.archives import ArchiveFiles
from yearling.store.transfer.json_records import RecordRejected
from yearling.store.transfer.source_chats import (
    SOURCE_FACT,
    SOURCE_ID_FACT,
    ParsedConversation,
    chain_message_id,
    clean_title,
    hash_messages,
)
from yearling.store.transfer.yearling_export import PersonImportResult
from yearling.unicode_repair import mend_surrogates

_ID_NAMES = ("conversation_id", "id", "conversationId", "uuid")
_MESSAGE_ID_NAMES = ("id", "messageId", "uuid")
_REPLACED_FACTS = (SOURCE_FACT, SOURCE_ID_FACT, "source_listed", "hidden")


class ChatWriter:
    """Writes one person's conversations. What is known is read once for each program, so that a record costs the same."""

    def __init__(self, store: Store, person_id: str, result: PersonImportResult) -> None:
        self._store = store
        self._person_id = person_id
        self._result = result
        self._known: dict[str, dict[str, str]] = {}
        """For each origin the id of the conversation that has an identity."""

    def write(self, parsed: ParsedConversation, files: ArchiveFiles) -> None:
        """Store one conversation and count it. Raises BadInput for what cannot be stored, StorageFailed."""
        conversation = parsed.conversation
        known = self._known_conversations(conversation.origin)
        identity = conversation.facts[SOURCE_ID_FACT]
        with self._store.blobs.pause_collection():  # no message refers to the new blobs yet
            skipped: Counter[tuple[str, str]] = Counter()
            attachments = {key: files.store_assets(assets, skipped) for key, assets in parsed.assets.items()}
            if identity in known:
                self._merge(known[identity], parsed, attachments)
            else:
                tree = [_with_attachments(message, attachments.get(message.id, [])) for message in parsed.messages]
                self._store.conversations.insert_tree(conversation, tree)
                self._add_references(attachments)
                known[identity] = conversation.id
                self._result.conversations += 1
                self._result.messages += len(tree)
        self._result.skipped.update(skipped)
        self._result.skipped.update(parsed.skipped)

    def _merge(self, conversation_id: str, parsed: ParsedConversation, attachments: dict[str, list[dict[str, object]]]) -> None:
        store, person_id = self._store.conversations, self._person_id
        stored = store.get(conversation_id, person_id=person_id)
        tree = store.list_messages(conversation_id, person_id=person_id)
        by_source_id = _index_by_source_id(tree)
        local_ids = {message.id for message in tree} - {message.id for message in by_source_id.values()}
        ids: dict[str, str] = {}
        changed: list[Message] = []
        added: list[Message] = []
        new_files: dict[str, list[dict[str, object]]] = {}
        for message in parsed.messages:
            old = by_source_id.get(message.facts[SOURCE_ID_FACT])
            entries = attachments.get(message.id, [])
            parent_id = ids[message.parent_id] if message.parent_id is not None else None
            ids[message.id] = old.id if old else message.id
            if old is None:
                added.append(_with_attachments(replace(message, conversation_id=conversation_id, parent_id=parent_id), entries))
                new_files[message.id] = entries
                continue
            preserved_facts = {name: fact for name, fact in old.facts.items() if name not in _REPLACED_FACTS}
            attached_hashes = {entry["sha256"] for entry in preserved_facts.get(ATTACHMENTS_FACT, ())}
            new_attachments = [entry for entry in entries if entry["sha256"] not in attached_hashes]
            newer = replace(
                old,
                parent_id=parent_id,
                role=message.role,
                content=message.content,
                model=message.model,
                facts=preserved_facts | message.facts,
            )
            newer = _with_attachments(newer, new_attachments)
            if _without_id(newer) != _without_id(old):
                changed.append(newer)
                new_files[old.id] = new_attachments
        merged = _merge_fields(stored, parsed)
        if added and stored.leaf_id not in local_ids and parsed.conversation.leaf_id is not None:
            merged = replace(merged, leaf_id=ids[parsed.conversation.leaf_id])
        if not changed and not added and _without_id(merged) == _without_id(stored):
            self._result.known += 1
            return
        store.merge_tree(merged, changed, added)
        self._add_references(new_files)
        self._result.updated += 1
        self._result.messages += len(added)

    def _known_conversations(self, origin: str) -> dict[str, str]:
        if origin not in self._known:
            self._known[origin] = {
                self._identity(conversation_id, facts): conversation_id
                for conversation_id, facts in self._store.conversations.facts_by_conversation(self._person_id, origin)
            }
        return self._known[origin]

    def _identity(self, conversation_id: str, facts: Mapping[str, object]) -> str:
        """The identity of a stored conversation. Older versions did not store it."""
        if isinstance(facts.get(SOURCE_ID_FACT), str):
            return str(facts[SOURCE_ID_FACT])
        source = facts.get(SOURCE_FACT)
        for layer in (source, source.get("chat") if isinstance(source, dict) else None):
            if isinstance(layer, dict):
                own = next((layer[name] for name in _ID_NAMES if layer.get(name)), None)
                if own is not None:
                    return str(own)
        tree = self._store.conversations.list_messages(conversation_id, person_id=self._person_id)
        return hash_messages(message for message in tree if SOURCE_FACT in message.facts)

    def _add_references(self, attachments: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        for message_id, entries in attachments.items():
            self._store.attachments.add_references(message_id, [str(entry["sha256"]) for entry in entries])
            self._result.blobs += len(entries)


def _index_by_source_id(tree: Sequence[Message]) -> dict[str, Message]:
    """The imported messages of a conversation by the identity that their source gives them."""
    indexed: dict[str, Message] = {}
    source_ids: dict[str | None, str] = {}
    for message in tree:
        source = message.facts.get(SOURCE_FACT)
        if not isinstance(source, dict):
            continue
        own = message.facts.get(SOURCE_ID_FACT) or next((source[name] for name in _MESSAGE_ID_NAMES if source.get(name)), None)
        source_id = str(own) if own else chain_message_id(source_ids.get(message.parent_id), message.role, message.content)
        source_ids[message.id] = source_id
        indexed[source_id] = message
    return indexed


def _merge_fields(stored: Conversation, parsed: ParsedConversation) -> Conversation:
    """The stored conversation with what the newer version of it says about it as a whole."""
    newer = parsed.conversation
    is_own_title = mend_surrogates(stored.title) != _source_title(stored)
    times = [time for time in (stored.updated_utc, parsed.source_updated_utc) if time is not None]
    return replace(
        stored,
        title=stored.title if is_own_title else newer.title,
        updated_utc=max(times, default=None),
        facts=stored.facts | newer.facts,
    )


def _source_title(conversation: Conversation) -> str | None:
    """The title that an imported conversation got from its source."""
    source = conversation.facts.get(SOURCE_FACT)
    if not isinstance(source, dict):
        return None
    inner = source.get("chat") if isinstance(source.get("chat"), dict) else source.get("conv")
    titles = [layer.get(name) for layer in (source, inner) if isinstance(layer, dict) for name in ("title", "name")]
    try:
        return clean_title(next((title for title in titles if title), None))
    except RecordRejected:
        return None


def _with_attachments(message: Message, entries: Sequence[Mapping[str, object]]) -> Message:
    """The message with further files in its facts."""
    if not entries:
        return message
    return replace(message, facts={**message.facts, ATTACHMENTS_FACT: [*message.facts.get(ATTACHMENTS_FACT, ()), *entries]})


def _without_id(record: Message | Conversation) -> Message | Conversation:
    """A record for comparison with one of an older version, which lacks the identity."""
    return replace(record, facts={name: fact for name, fact in record.facts.items() if name != SOURCE_ID_FACT})
