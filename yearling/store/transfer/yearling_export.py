"""Import of one of our own exports, with everything in it, for one person.

Ids are kept, so that exporting again gives the same content. Records that exist already are skipped, and an id that belongs to
somebody else is replaced by a new one. A file is trusted only in what concerns its person alone: judgements pass the rules of the
event log (`ActImporter`), share links those of `ShareLinkStore.restore`, settings are validated, and attachments get their media
type from their content.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from yearling.clock import new_id
from yearling.errors import BadInput, Untrusted, UserError
from yearling.records import Conversation, Message, Sample
from yearling.store.chats.attachments import ATTACHMENTS_FACT, describe_attachment
from yearling.store.chats.comparisons import ComparisonRecord
from yearling.store.chats.samples import sampling_from_json
from yearling.store.database.column_types import parse_time
from yearling.store.database.learning_schema import offers
from yearling.store.database.schema import api_conversations, comparisons, conversations, corrections, samples
from yearling.store.store import Store
from yearling.store.transfer.exporter import EXPORT_FORMAT, EXPORT_FORMAT_VERSION, EXPORT_MANIFEST_MEMBER
from yearling.store.transfer.json_records import MAX_DURATION_S


class ActImportCounts(Protocol):
    """The result of importing a person's judgements: how many are new, known already, and skipped, by reason."""

    @property
    def new(self) -> int: ...

    @property
    def known(self) -> int: ...

    @property
    def skipped(self) -> Mapping[str, int]: ...


SettingsValidator = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Returns the settings of an export as they may be stored. Raises UserError."""

ActImporter = Callable[[Iterable[Any], Mapping[str, str]], ActImportCounts]
"""Imports judgements as an export has them. The mapping gives the new ids of answers whose id was replaced."""

MAX_LINE_BYTES = 64 << 20
"""Largest record of an export: one line."""
MAX_LINE_VALUES = 4_000_000
"""Largest number of commas and opening brackets in a line, which bounds the number of its values."""
MAX_MANIFEST_BYTES = 16 << 20
"""Largest manifest of an export."""

_BATCH = 200


@dataclass(slots=True)
class PersonImportResult:
    """The result of an import. `known` conversations existed before; `skipped` counts (what, reason)."""

    format: str
    conversations: int = 0
    updated: int = 0
    """Conversations that existed and changed: they grew, were renamed or repaired, or got files."""
    messages: int = 0
    samples: int = 0
    folders: int = 0
    memories: int = 0
    corrections: int = 0
    judgements: int = 0
    shares: int = 0
    blobs: int = 0
    known: int = 0
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)


def _parse_json(content: bytes, name: str, max_bytes: int) -> Any:
    """Decode a file of an export, or a line of one. Raises BadInput for what is not JSON and above the ceilings."""
    num_values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if len(content) > max_bytes or num_values > MAX_LINE_VALUES:
        raise BadInput(
            f"A record in {name} of this export is larger than {max_bytes} bytes or {MAX_LINE_VALUES} values.",
            advice="Export again.",
            param="file",
        )
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BadInput(f"{name} in this export is not JSON.", advice="Export again.", param="file") from None


def _hash_member(archive: zipfile.ZipFile, name: str) -> str:
    hasher = hashlib.sha256()
    with archive.open(name) as member:
        while chunk := member.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


class YearlingImporter:
    """Imports one of our exports."""

    def __init__(
        self,
        store: Store,
        person_id: str,
        archive: zipfile.ZipFile,
        settings_validator: SettingsValidator,
        act_importer: ActImporter,
    ) -> None:
        self._settings_validator = settings_validator
        self._act_importer = act_importer
        self._store = store
        self._person_id = person_id
        self._archive = archive
        self._names = frozenset(archive.namelist())
        self._deadline_s = time.monotonic() + MAX_DURATION_S
        self._result = PersonImportResult("yearling")
        self._id_map: dict[str, str] = {}
        """Ids in the file and the ids that they get here."""
        self._stored_sample_ids: set[str] = set()

    def run(self) -> PersonImportResult:
        """Import everything. Raises BadInput, Untrusted, StorageFailed."""
        try:
            self._verify_manifest()
            self._import_folders()
            self._import_samples()
            self._import_acts()
            for row in self._read_rows("conversations"):
                self._import_conversation(row)
            self._import_each("comparisons", self._import_comparison)
            self._import_each("memories", self._import_memory)
            self._import_each("corrections", self._import_correction)
            self._import_each("guesses", self._import_guess)
            self._import_each(
                "settings", lambda row: self._store.personal_settings.update(self._person_id, self._settings_validator(row))
            )
            self._import_each("api_conversations", self._import_api_conversation)
            self._import_each("shares", self._import_share_link)
            self._import_each("offers", self._skip_offer)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise BadInput(
                "This export is not valid. The records before the invalid one are stored.",
                advice="Export again.",
                param="file",
            ) from error
        return self._result

    def _verify_manifest(self) -> None:
        with self._archive.open(EXPORT_MANIFEST_MEMBER) as member:
            content = member.read(MAX_MANIFEST_BYTES + 1)
        manifest = _parse_json(content, EXPORT_MANIFEST_MEMBER, MAX_MANIFEST_BYTES)
        if (
            not isinstance(manifest, dict)
            or manifest.get("format") != EXPORT_FORMAT
            or manifest.get("version") != EXPORT_FORMAT_VERSION
        ):
            raise BadInput("This zip is an export of an unknown format or version.", param="file")
        for name, (size, sha256) in manifest["files"].items():
            is_intact = name in self._names and _hash_member(self._archive, name) == sha256
            if not is_intact or self._archive.getinfo(name).file_size != size:
                raise Untrusted(f"{name} in this export was changed or is damaged.", advice="Export again.")

    def _read_rows(self, kind: str) -> Iterator[dict[str, Any]]:
        if f"{kind}.jsonl" in self._names:
            with self._archive.open(f"{kind}.jsonl") as member:
                while line := member.readline(MAX_LINE_BYTES + 1):
                    if time.monotonic() > self._deadline_s:
                        raise BadInput("The import ran out of time.", advice="Import the file again to continue.", param="file")
                    yield _parse_json(line, f"{kind}.jsonl", MAX_LINE_BYTES)

    def _import_each(self, kind: str, import_row: Callable[[dict[str, Any]], object]) -> None:
        for row in self._read_rows(kind):
            try:
                import_row(row)
            except UserError as error:
                self._result.skipped[(kind, error.message)] += 1

    def _import_folders(self) -> None:
        by_name = {folder.name: folder for folder in self._store.folders.list(self._person_id)}
        for row in self._read_rows("folders"):
            folder = by_name.get(row["name"])
            if folder is None:
                folder = self._store.folders.create(
                    self._person_id,
                    row["name"],
                    folder_id=self._available_id("folders", row["id"]),
                    created_utc=parse_time(row["created_utc"]),
                )
                self._result.folders += 1
            self._id_map[row["id"]] = folder.id

    def _import_samples(self) -> None:
        batch: list[Sample] = []
        for row in self._read_rows("samples"):
            owner = self._owner_of(samples, row["id"])
            if owner == self._person_id:
                self._stored_sample_ids.add(row["id"])
                continue
            batch.append(self._parse_sample(row))
            if len(batch) == _BATCH:
                self._store_samples(batch)
                batch = []
        self._store_samples(batch)

    def _store_samples(self, batch: list[Sample]) -> None:
        if not batch:
            return
        if self._store.samples.add_many(batch):
            self._result.samples += len(batch)
            self._stored_sample_ids.update(sample.id for sample in batch)
        else:
            self._result.skipped[("sample", "the retention setting stores no samples")] += len(batch)

    def _parse_sample(self, row: dict[str, Any]) -> Sample:
        values = {
            **row,
            "id": self._available_id("samples", row["id"]),
            "person_id": self._person_id,
            "created_utc": parse_time(row["created_utc"]),
            "sampling": sampling_from_json(row["sampling"]),
            **{name: tuple(row[name]) for name in ("messages", "prompt_ids", "output_ids", "logprobs")},
        }
        return Sample(**values)

    def _import_acts(self) -> None:
        counts = self._act_importer(self._read_rows("feedback"), self._id_map)
        self._result.judgements = counts.new
        self._result.skipped.update({("judgement", reason): count for reason, count in counts.skipped.items()})

    def _import_conversation(self, row: dict[str, Any]) -> None:
        message_rows = row.pop("messages")
        if self._owner_of(conversations, row["id"]) == self._person_id:
            self._result.known += 1
            return
        conversation_id = self._available_id("conversations", row["id"])
        blob_hashes: dict[str, list[str]] = {}
        tree = []
        for fields in message_rows:
            blob_hashes[self._available_id("messages", fields["id"])] = fields.pop("blobs", [])
        with self._store.blobs.pause_collection():
            for fields in message_rows:
                message_id = self._id_map.get(fields["id"], fields["id"])
                attachments = self._store_attachments(blob_hashes[message_id], fields["facts"])
                blob_hashes[message_id] = list(attachments)
                tree.append(self._build_message(fields, message_id, conversation_id, list(attachments.values())))
            self._store.conversations.insert_tree(self._build_conversation(row, conversation_id), tree)
            for message_id, hashes in blob_hashes.items():
                self._store.attachments.add_references(message_id, hashes)
        self._result.conversations += 1
        self._result.messages += len(tree)
        self._result.blobs += sum(map(len, blob_hashes.values()))

    def _build_message(
        self, fields: dict[str, Any], message_id: str, conversation_id: str, attachments: list[dict[str, Any]]
    ) -> Message:
        sample_id = self._id_map.get(fields["sample_id"], fields["sample_id"])
        facts = {name: fact for name, fact in fields["facts"].items() if name != ATTACHMENTS_FACT}
        if attachments:
            facts[ATTACHMENTS_FACT] = attachments
        values = {
            **fields,
            "id": message_id,
            "parent_id": self._id_map.get(fields["parent_id"], fields["parent_id"]),
            "conversation_id": conversation_id,
            "created_utc": parse_time(fields["created_utc"]),
            "sample_id": sample_id if sample_id in self._stored_sample_ids else None,
            "facts": facts,
        }
        return Message(**values)

    def _build_conversation(self, row: dict[str, Any], conversation_id: str) -> Conversation:
        folder_id = self._id_map.get(row["folder_id"] or "")
        values = {
            **row,
            "id": conversation_id,
            "person_id": self._person_id,
            "folder_id": folder_id,
            "leaf_id": self._id_map.get(row["leaf_id"], row["leaf_id"]),
            "created_utc": parse_time(row["created_utc"]),
            "updated_utc": parse_time(row["updated_utc"]) if row["updated_utc"] else None,
        }
        return Conversation(**values)

    def _store_attachments(self, hashes: list[str], facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Store the files of a message. Returns their entries for its facts by hash, in the order of the export's entries."""
        names = {entry["sha256"]: entry["name"] for entry in facts.get(ATTACHMENTS_FACT, ())}
        order = {sha256: index for index, sha256 in enumerate(names)}
        max_bytes = self._store.settings.max_attachment_bytes
        stored: dict[str, dict[str, Any]] = {}
        for sha256 in sorted(hashes, key=lambda sha256: order.get(sha256, len(order))):
            member = f"blobs/{sha256}"
            if member not in self._names:
                self._result.skipped[("attachment", "it is not in the file")] += 1
            elif self._archive.getinfo(member).file_size > max_bytes:
                self._result.skipped[("attachment", f"it is larger than {max_bytes} bytes")] += 1
            else:
                content = self._archive.read(member)
                if self._store.blobs.put(content) != sha256:
                    raise Untrusted(f"The content of {member} in this export does not match its hash.", advice="Export again.")
                stored[sha256] = describe_attachment(sha256, names.get(sha256), content)
        return stored

    def _import_comparison(self, row: dict[str, Any]) -> None:
        if self._owner_of(comparisons, row["id"]) == self._person_id:
            return
        ids = {name: self._id_map.get(row[name], row[name]) for name in ("conversation_id", "question_id", "left_id", "right_id")}
        # `event_id` is not mapped: the event log knows the judgement by its original id.
        values = {**row, **ids, "id": self._available_id("comparisons", row["id"]), "created_utc": parse_time(row["created_utc"])}
        self._store.comparisons.insert(ComparisonRecord(**values, person_id=self._person_id))

    def _import_memory(self, row: dict[str, Any]) -> None:
        values = {**row, "message_id": self._id_map.get(row["message_id"] or "", row["message_id"])}
        if self._store.memories.insert_exported(self._person_id, {**values, "id": self._available_id("memories", row["id"])}):
            self._result.memories += 1

    def _import_correction(self, row: dict[str, Any]) -> None:
        if self._owner_of(corrections, row["id"]) == self._person_id:
            return
        values = {**row, "message_id": self._id_map.get(row["message_id"] or "", row["message_id"])}
        if self._store.corrections.insert_exported(
            self._person_id, {**values, "id": self._available_id("corrections", row["id"])}
        ):
            self._result.corrections += 1

    def _import_guess(self, row: dict[str, Any]) -> None:
        self._store.guesses.insert_exported(self._person_id, {**row, "id": self._available_id("guesses", row["id"])})

    def _import_api_conversation(self, row: dict[str, Any]) -> None:
        if self._owner_of(api_conversations, row["id"]) != self._person_id:
            self._store.api_conversations.create(
                self._person_id,
                metadata={str(name): str(value) for name, value in row["metadata"].items()},
                new_items=[item for item in row["items"] if isinstance(item["id"], str)],
                conversation_id=self._available_id("api_conversations", row["id"]),
                created_utc=parse_time(row["created_utc"]),
            )

    def _import_share_link(self, row: dict[str, Any]) -> None:
        ids = {name: self._id_map.get(row[name], row[name]) for name in ("conversation_id", "leaf_id")}
        outcome = self._store.shares.restore(
            row["id"], person_id=self._person_id, **ids, created_utc=parse_time(row["created_utc"])
        )
        if outcome == "revoked":
            self._result.skipped[("share", "it was revoked")] += 1
        elif outcome == "new":
            self._result.skipped[("address of a share", "a link that was not created here gets a new one")] += 1
        self._result.shares += outcome in ("back", "new")

    def _skip_offer(self, row: dict[str, Any]) -> None:
        """Count an offer that is not here. A file shows nothing to others: people offer an answer after they looked at it."""
        if self._owner_of(offers, row["id"]) != self._person_id:
            self._result.skipped[("offer", "only you can let others here rate your answer, in its chat")] += 1

    def _available_id(self, table: str, old: str) -> str:
        """The id itself if it is free, else a new one."""
        if old not in self._id_map:
            target = sa.table(table, sa.column("id"))
            with self._store.database.read() as connection:
                taken = connection.execute(sa.select(target.c.id).where(target.c.id == old)).first()
            self._id_map[old] = new_id() if taken else old
        return self._id_map[old]

    def _owner_of(self, table: sa.Table, record_id: str) -> str | None:
        with self._store.database.read() as connection:
            return connection.execute(sa.select(table.c.person_id).where(table.c.id == record_id)).scalar()
