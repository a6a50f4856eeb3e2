"""A person's conversations into the store: exports of other programs, and everything that an export of ours holds.

Ids are kept, so that exporting again gives the same content; what is there already is left alone, and what clashes with somebody
else's id gets a new one. What a file says is believed only as far as it concerns its person alone: acts go through the log's own
rules (`take_acts`), links as `Shares.bring_back` has it, settings are checked, and a file is the one that its bytes are.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any, Protocol

import sqlalchemy as sa

from yearling.clock import new_id
from yearling.errors import BadInput, Untrusted, UserError
from yearling.records import Conversation, Message, Sample
from yearling.store.chats.attachments import ATTACHMENTS_FACT, describe_attachment
from yearling.store.chats.comparisons import ComparisonRecord
from yearling.store.chats.folders import Folder
from yearling.store.chats.samples import sampling_from_json
from yearling.store.database.schema import comparisons, conversations, parse_time, samples
from yearling.store.store import Store
from yearling.store.transfer import chat_exports as foreign
from yearling.store.transfer.exporter import EXPORT_FORMAT, EXPORT_FORMAT_VERSION, EXPORT_MANIFEST_MEMBER


class ActImportCounts(Protocol):
    """What became of a person's acts: entered now, known before, left out by reason."""

    @property
    def new(self) -> int: ...

    @property
    def known(self) -> int: ...

    @property
    def skipped(self) -> Mapping[str, int]: ...


SettingsValidator = Callable[[Mapping[str, Any]], dict[str, Any]]
"""A person's settings as they may be stored. Raises UserError."""

ActImporter = Callable[[Iterable[Any], Mapping[str, str]], ActImportCounts]
"""Takes acts as an export has them, with the ids of answers that became others; the log decides what it takes."""

_BATCH = 200
_MAX_COMPRESSION_RATIO = 50
"""A zip that unpacks to more than this many times its size is a trap."""


@dataclass(slots=True)
class PersonImportResult:
    """What an import did. `known` conversations were there before; `left_out` counts (what, why)."""

    format: str
    conversations: int = 0
    messages: int = 0
    samples: int = 0
    folders: int = 0
    memories: int = 0
    judgements: int = 0
    shares: int = 0
    blobs: int = 0
    known: int = 0
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)


def import_person_data(
    store: Store,
    person_id: str,
    file: IO[bytes],
    *,
    max_bytes: int,
    validate_settings: SettingsValidator,
    import_acts: ActImporter,
) -> PersonImportResult:
    """Take in a ChatGPT export, an Open WebUI export or one of ours; each conversation is stored whole or not at all.

    Raises BadInput for another file, Untrusted for an export of ours that is damaged, StorageFailed.
    """
    if not zipfile.is_zipfile(file):
        file.seek(0)
        return _import_chat_export(store, person_id, _parse_json(file.read()), _ArchiveFiles(store, None))
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            _reject_zip_bomb(archive, max_bytes)
            names = set(archive.namelist())
            if EXPORT_MANIFEST_MEMBER in names:
                return _YearlingImporter(store, person_id, archive, validate_settings, import_acts).run()
            chats = sorted(
                name for name in names if name.rpartition("/")[2].startswith("conversations") and name.endswith(".json")
            )
            if not chats:
                chats = sorted(name for name in names if name.endswith(".json"))[:1]
            if not chats:
                raise BadInput("There are no conversations in this zip.", param="file")
            content = [_parse_json(archive.read(name)) for name in chats]
            merged = [one for part in content for one in (part if isinstance(part, list) else [part])]
            return _import_chat_export(store, person_id, merged, _ArchiveFiles(store, archive))
    except zipfile.BadZipFile as error:
        raise BadInput(f"The zip is damaged: {error}.", advice="Export again.", param="file") from None


def _reject_zip_bomb(archive: zipfile.ZipFile, max_bytes: int) -> None:
    whole = sum(info.file_size for info in archive.infolist())
    packed = sum(info.compress_size for info in archive.infolist())
    if whole > max_bytes * 8 or whole > max(packed, 1 << 20) * _MAX_COMPRESSION_RATIO:
        raise BadInput(f"The zip would unpack to {whole} bytes.", advice="Split the export.", param="file")


def _parse_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BadInput("The file is no JSON.", advice="Send the zip or the JSON as it was exported.", param="file") from None


def _import_chat_export(store: Store, person_id: str, content: Any, files: _ArchiveFiles) -> PersonImportResult:
    done = PersonImportResult(foreign.detect_format(content))
    for found in foreign.parse_chat_export(content, person_id, max_asset_bytes=files.max_bytes):
        done.skipped.update(found.skipped)
        if _was_imported(store, person_id, found.conversation):
            done.known += 1
            continue
        with store.blobs.pause_collection():  # from here on nobody collects what no message needs yet
            kept = {message_id: files.store_assets(assets, done) for message_id, assets in found.assets.items()}
            tree = [
                replace(one, facts={**one.facts, ATTACHMENTS_FACT: kept[one.id]}) if kept.get(one.id) else one
                for one in found.messages
            ]
            store.conversations.insert_tree(found.conversation, tree)
            for message_id, told in kept.items():
                store.attachments.add_references(message_id, [one["sha256"] for one in told])
        done.conversations += 1
        done.messages += len(tree)
        done.blobs += sum(map(len, kept.values()))
    return done


def _was_imported(store: Store, person_id: str, conversation: Conversation) -> bool:
    """Whether this very conversation was imported earlier, as it is now."""
    source = conversation.facts["source"]
    own = sa.and_(conversations.c.person_id == person_id, conversations.c.origin == conversation.origin)
    same = sa.and_(own, conversations.c.created_utc == conversation.created_utc)
    with store.database.read() as connection:
        return any(
            json.loads(facts).get("source") == source
            for facts in connection.scalars(sa.select(conversations.c.facts).where(same))
        )


class _ArchiveFiles:
    """The files of an archive of another program, found by how their names begin."""

    def __init__(self, store: Store, archive: zipfile.ZipFile | None) -> None:
        self.max_bytes = store.settings.max_attachment_bytes
        self._store = store
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist() if archive else ():
            base = info.filename.rpartition("/")[2]
            for at, character in enumerate(base):
                if character in "-.":
                    self._members.setdefault(base[:at], info)
            self._members[base] = info

    def store_assets(self, assets: Iterable[foreign.Asset], result: PersonImportResult) -> list[dict[str, Any]]:
        """Put those files among the blobs that are there and not too large; returns what a message says of them."""
        kept: dict[str, dict[str, Any]] = {}
        for asset in assets:
            content, info = asset.content, self._members.get(asset.key)
            size = len(content) if content is not None else info.file_size if info else None
            if size is None:
                result.skipped[("attachment", "it is not in the file")] += 1
            elif size > self.max_bytes:
                result.skipped[("attachment", f"it is larger than {self.max_bytes} bytes")] += 1
            else:
                if content is None and self._archive and info:
                    content = self._archive.read(info)
                known = content or b""
                name = asset.name or (info.filename.rpartition("/")[2] if info else "")
                sha256 = self._store.blobs.put(known)
                kept[sha256] = describe_attachment(sha256, name, known)
        return list(kept.values())


def _hash_member(archive: zipfile.ZipFile, name: str) -> str:
    hasher = hashlib.sha256()
    with archive.open(name) as member:
        while chunk := member.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


class _YearlingImporter:
    """Reads one of our exports."""

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
        self._result = PersonImportResult("yearling")
        self._id_map: dict[str, str] = {}
        """Ids of the file that became others here."""
        self._stored_sample_ids: set[str] = set()

    def run(self) -> PersonImportResult:
        self._verify_manifest()
        try:
            self._import_folders()
            self._import_samples()
            self._import_acts()
            for row in self._read_rows("conversations"):
                self._import_conversation(row)
            self._import_each("comparisons", self._import_comparison)
            self._import_each("memories", self._import_memory)
            self._import_each(
                "settings", lambda row: self._store.personal_settings.update(self._person_id, self._settings_validator(row))
            )
            self._import_each("shares", self._import_share_link)
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(
                "This export does not hold what a Yearling writes; what was read before that place is stored.",
                advice="Export again.",
                param="file",
            ) from error
        return self._result

    def _verify_manifest(self) -> None:
        manifest = _parse_json(self._archive.read(EXPORT_MANIFEST_MEMBER))
        if (
            not isinstance(manifest, dict)
            or manifest.get("format") != EXPORT_FORMAT
            or manifest.get("version") != EXPORT_FORMAT_VERSION
        ):
            raise BadInput("This zip is no export of a Yearling that this one knows.", param="file")
        for name, (size, sha256) in manifest["files"].items():
            whole = name in self._names and _hash_member(self._archive, name) == sha256
            if not whole or self._archive.getinfo(name).file_size != size:
                raise Untrusted(f"{name} in this export is not what was written.", advice="Export again.")

    def _read_rows(self, kind: str) -> Iterator[dict[str, Any]]:
        if f"{kind}.jsonl" in self._names:
            with self._archive.open(f"{kind}.jsonl") as member:
                for line in member:
                    yield json.loads(line)

    def _import_each(self, kind: str, take: Callable[[dict[str, Any]], object]) -> None:
        for row in self._read_rows(kind):
            try:
                take(row)
            except UserError as error:
                self._result.skipped[(kind, error.message)] += 1

    def _import_folders(self) -> None:
        mine = {folder.name: folder for folder in self._store.folders.list(self._person_id)}
        for row in self._read_rows("folders"):
            there: Folder | None = mine.get(row["name"])
            if there is None:
                there = self._store.folders.create(
                    self._person_id,
                    row["name"],
                    folder_id=self._available_id("folders", row["id"]),
                    created_utc=parse_time(row["created_utc"]),
                )
                self._result.folders += 1
            self._id_map[row["id"]] = there.id

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
            self._result.skipped[("sample", "the retention setting keeps none")] += len(batch)

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
        taken = self._act_importer(self._read_rows("feedback"), self._id_map)
        self._result.judgements = taken.new
        self._result.skipped.update({("judgement", why): count for why, count in taken.skipped.items()})

    def _import_conversation(self, row: dict[str, Any]) -> None:
        said = row.pop("messages")
        owner = self._owner_of(conversations, row["id"])
        if owner == self._person_id:
            self._result.known += 1
            return
        conversation_id = self._available_id("conversations", row["id"])
        claims: dict[str, list[str]] = {}
        tree = []
        for one in said:
            claims[self._available_id("messages", one["id"])] = one.pop("blobs", [])
        with self._store.blobs.pause_collection():
            for one in said:
                sample_id = self._id_map.get(one["sample_id"], one["sample_id"])
                message_id = self._id_map.get(one["id"], one["id"])
                kept = self._store_attachments(claims[message_id], one["facts"])
                claims[message_id] = list(kept)
                told = {ATTACHMENTS_FACT: list(kept.values())} if kept else {}
                values = {
                    **one,
                    "id": message_id,
                    "parent_id": self._id_map.get(one["parent_id"], one["parent_id"]),
                    "conversation_id": conversation_id,
                    "created_utc": parse_time(one["created_utc"]),
                    "sample_id": sample_id if sample_id in self._stored_sample_ids else None,
                    "facts": {**{name: fact for name, fact in one["facts"].items() if name != ATTACHMENTS_FACT}, **told},
                }
                tree.append(Message(**values))
            self._store.conversations.insert_tree(self._build_conversation(row, conversation_id), tree)
            for message_id, hashes in claims.items():
                self._store.attachments.add_references(message_id, hashes)
        self._result.conversations += 1
        self._result.messages += len(tree)
        self._result.blobs += sum(map(len, claims.values()))

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

    def _store_attachments(self, claimed: list[str], facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The files of a message, by hash, in the order in which it tells of them. Their bytes say what they are, nobody else."""
        names = {one["sha256"]: one["name"] for one in facts.get(ATTACHMENTS_FACT, ())}
        kept: dict[str, dict[str, Any]] = {}
        for sha256 in sorted(claimed, key=lambda one: list(names).index(one) if one in names else len(names)):
            member = f"blobs/{sha256}"
            if member not in self._names:
                self._result.skipped[("attachment", "it is not in the file")] += 1
            elif self._archive.getinfo(member).file_size > self._store.settings.max_attachment_bytes:
                most = self._store.settings.max_attachment_bytes
                self._result.skipped[("attachment", f"it is larger than {most} bytes")] += 1
            else:
                content = self._archive.read(member)
                if self._store.blobs.put(content) != sha256:
                    raise Untrusted(f"{member} in this export has other content than its name says.", advice="Export again.")
                kept[sha256] = describe_attachment(sha256, names.get(sha256), content)
        return kept

    def _import_comparison(self, row: dict[str, Any]) -> None:
        if self._owner_of(comparisons, row["id"]) == self._person_id:
            return
        ids = {name: self._id_map.get(row[name], row[name]) for name in ("conversation_id", "question_id", "left_id", "right_id")}
        # Its act keeps the id that it was made under, wherever it is now: the log finds it by that.
        values = {**row, **ids, "id": self._available_id("comparisons", row["id"]), "created_utc": parse_time(row["created_utc"])}
        self._store.comparisons.insert(ComparisonRecord(**values, person_id=self._person_id))

    def _import_memory(self, row: dict[str, Any]) -> None:
        values = {**row, "message_id": self._id_map.get(row["message_id"] or "", row["message_id"])}
        if self._store.memories.insert_exported(self._person_id, {**values, "id": self._available_id("memories", row["id"])}):
            self._result.memories += 1

    def _import_share_link(self, row: dict[str, Any]) -> None:
        ids = {name: self._id_map.get(row[name], row[name]) for name in ("conversation_id", "leaf_id")}
        became = self._store.shares.restore(
            row["id"], person_id=self._person_id, **ids, created_utc=parse_time(row["created_utc"])
        )
        if became == "revoked":
            self._result.skipped[("share", "it was revoked")] += 1
        elif became == "new":
            self._result.skipped[("address of a share", "a link that was not made here gets a new one")] += 1
        self._result.shares += became in ("back", "new")

    def _available_id(self, table: str, old: str) -> str:
        """The id itself where nobody has it, a new one where somebody else does."""
        if old not in self._id_map:
            target = sa.table(table, sa.column("id"))
            with self._store.database.read() as connection:
                taken = connection.execute(sa.select(target.c.id).where(target.c.id == old)).first()
            self._id_map[old] = new_id() if taken else old
        return self._id_map[old]

    def _owner_of(self, table: sa.Table, record_id: str) -> str | None:
        with self._store.database.read() as connection:
            return connection.execute(sa.select(table.c.person_id).where(table.c.id == record_id)).scalar()
