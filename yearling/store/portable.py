"""Everything that is one person's as one zip file, and back: conversations, samples, folders, comparisons, blobs and the rest.

The zip holds JSON lines per kind and a manifest with the size and SHA-256 of every member. Reading it keeps the ids, so that
exporting again gives the same content; what is there already is left alone, and what clashes with somebody else's id gets a new
one. Judgements are in the export to be read, but not taken in again: the log of feedback is public and shared, and nobody may
write a past into it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import IO, Any

import sqlalchemy as sa

from yearling import __version__
from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Untrusted, UserError
from yearling.records import Conversation, Message, Sample, SamplingSettings
from yearling.store import foreign
from yearling.store.comparisons import ComparisonRecord
from yearling.store.conversations import BLOB_KIND
from yearling.store.folders import Folder
from yearling.store.schema import blob_references, comparisons, conversations, format_time, parse_time, samples
from yearling.store.store import Store

FORMAT = "yearling-export"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"

Checked = Callable[[Mapping[str, Any]], dict[str, Any]]
"""A person's settings as they may be stored. Raises UserError."""

_BATCH = 200
_MOST_RATIO = 50
"""A zip that unpacks to more than this many times its size is a trap."""


@dataclass(slots=True)
class Imported:
    """What an import did. `known` conversations were there before; `left_out` counts (what, why)."""

    format: str
    conversations: int = 0
    messages: int = 0
    samples: int = 0
    folders: int = 0
    memories: int = 0
    blobs: int = 0
    known: int = 0
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)


# Out


def export(store: Store, person_id: str, file: IO[bytes], *, feedback: Iterable[Mapping[str, Any]] = ()) -> dict[str, int]:
    """Write everything of a person; `feedback` are their acts with the words. Returns how much there was of each kind."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        writer = _Writer(archive)
        blobs: set[str] = set()
        writer.lines("folders", (_plain(asdict(one), drop=("num_conversations",)) for one in store.folders.list(person_id)))
        writer.lines("samples", _samples_out(store, person_id))
        writer.lines("conversations", _conversations_out(store, person_id, blobs))
        writer.lines("comparisons", (_plain(_fields(one)) for one in _comparisons(store, person_id)))
        writer.lines("shares", (_plain(_fields(one)) for one in store.shares.list(person_id)))
        writer.lines("memories", (_plain(_fields(one)) for one in store.memories.list(person_id)))
        writer.lines("settings", [store.personal.get(person_id)])
        writer.lines("feedback", feedback)
        for sha256 in sorted(blobs):
            writer.member(f"blobs/{sha256}", store.blobs.get(sha256))
        manifest = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "created_utc": format_time(now_utc()),
            "yearling": __version__,
            "counts": writer.counts,
            "files": writer.files,
        }
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
    return {**writer.counts, "blobs": len(blobs)}


class _Writer:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, list[Any]] = {}
        self.counts: dict[str, int] = {}

    def lines(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """One JSON object a line."""
        name, hasher, size, count = f"{kind}.jsonl", hashlib.sha256(), 0, 0
        with self._archive.open(name, "w", force_zip64=True) as member:
            for row in rows:
                line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
                hasher.update(line)
                size += member.write(line)
                count += 1
        self.files[name] = [size, hasher.hexdigest()]
        self.counts[kind] = count

    def member(self, name: str, content: bytes) -> None:
        self._archive.writestr(name, content)
        self.files[name] = [len(content), hashlib.sha256(content).hexdigest()]


def _samples_out(store: Store, person_id: str) -> Iterator[dict[str, Any]]:
    before = None
    while page := store.samples.list(person_id, limit=_BATCH, before=before):
        yield from (_plain(asdict(sample), drop=("person_id",)) for sample in page)
        before = page[-1].id


def _conversations_out(store: Store, person_id: str, blobs: set[str]) -> Iterator[dict[str, Any]]:
    for conversation in store.conversations.list(person_id):
        tree = store.conversations.messages(conversation.id, person_id=person_id)
        claims = _claims(store, [message.id for message in tree])
        blobs.update(sha256 for hashes in claims.values() for sha256 in hashes)
        said = [
            _plain(_fields(message), drop=("conversation_id",)) | ({"blobs": claims[message.id]} if message.id in claims else {})
            for message in tree
        ]
        yield _plain(_fields(conversation), drop=("person_id",)) | {"messages": said}


def _comparisons(store: Store, person_id: str) -> list[ComparisonRecord]:
    with store.database.read() as connection:
        rows = connection.execute(sa.select(comparisons).where(comparisons.c.person_id == person_id).order_by(comparisons.c.id))
        return [ComparisonRecord(**row._mapping) for row in rows]


def _claims(store: Store, message_ids: list[str]) -> dict[str, list[str]]:
    """Which blobs each of these messages needs."""
    found: dict[str, list[str]] = {}
    with store.database.read() as connection:
        for start in range(0, len(message_ids), _BATCH):
            some = blob_references.c.record_id.in_(message_ids[start : start + _BATCH])
            query = sa.select(blob_references).where(blob_references.c.kind == BLOB_KIND, some)
            for row in connection.execute(query.order_by(blob_references.c.sha256)):
                found.setdefault(row.record_id, []).append(row.sha256)
    return found


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _plain(values: Mapping[str, Any], *, drop: tuple[str, ...] = ("person_id",)) -> dict[str, Any]:
    """JSON values: times as text."""
    plain = {name: value for name, value in values.items() if name not in drop}
    return {name: format_time(value) if isinstance(value, datetime) else value for name, value in plain.items()}


# In


def import_file(store: Store, person_id: str, file: IO[bytes], *, most_bytes: int, checked_settings: Checked) -> Imported:
    """Take in a ChatGPT export, an Open WebUI export or one of ours; each conversation is stored whole or not at all.

    Raises BadInput for another file, Untrusted for an export of ours that is damaged, StorageFailed.
    """
    if not zipfile.is_zipfile(file):
        file.seek(0)
        return _foreign(store, person_id, _parsed(file.read()), None)
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            _refuse_bomb(archive, most_bytes)
            names = set(archive.namelist())
            if MANIFEST in names:
                return _Own(store, person_id, archive, checked_settings).take()
            chats = sorted(
                name for name in names if name.rpartition("/")[2].startswith("conversations") and name.endswith(".json")
            )
            if not chats:
                chats = sorted(name for name in names if name.endswith(".json"))[:1]
            if not chats:
                raise BadInput("There are no conversations in this zip.", param="file")
            content = [_parsed(archive.read(name)) for name in chats]
            merged = [one for part in content for one in (part if isinstance(part, list) else [part])]
            return _foreign(store, person_id, merged, archive)
    except zipfile.BadZipFile as error:
        raise BadInput(f"The zip is damaged: {error}.", advice="Export again.", param="file") from None


def _refuse_bomb(archive: zipfile.ZipFile, most_bytes: int) -> None:
    whole = sum(info.file_size for info in archive.infolist())
    packed = sum(info.compress_size for info in archive.infolist())
    if whole > most_bytes * 8 or whole > max(packed, 1 << 20) * _MOST_RATIO:
        raise BadInput(f"The zip would unpack to {whole} bytes.", advice="Split the export.", param="file")


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BadInput("The file is no JSON.", advice="Send the zip or the JSON as it was exported.", param="file") from None


def _foreign(store: Store, person_id: str, content: Any, archive: zipfile.ZipFile | None) -> Imported:
    done = Imported(foreign.format_of(content))
    for found in foreign.read(content, person_id):
        done.left_out.update(found.left_out)
        if _seen_before(store, person_id, found.conversation):
            done.known += 1
            continue
        store.conversations.add_whole(found.conversation, found.messages)
        done.conversations += 1
        done.messages += len(found.messages)
        for message_id, names in found.assets.items():
            for name in names:
                _asset(store, archive, name, message_id, done)
    return done


def _seen_before(store: Store, person_id: str, conversation: Conversation) -> bool:
    """Whether this very conversation was imported earlier, as it is now."""
    source = conversation.facts["source"]
    own = sa.and_(conversations.c.person_id == person_id, conversations.c.origin == conversation.origin)
    same = sa.and_(own, conversations.c.created_utc == conversation.created_utc)
    with store.database.read() as connection:
        return any(
            json.loads(facts).get("source") == source
            for facts in connection.scalars(sa.select(conversations.c.facts).where(same))
        )


def _asset(store: Store, archive: zipfile.ZipFile | None, name: str, message_id: str, done: Imported) -> None:
    inside = next((one for one in (archive.namelist() if archive else ()) if one.rpartition("/")[2].startswith(name)), None)
    if archive is None or inside is None:
        done.left_out[("attachment", "it is not in the file")] += 1
        return
    sha256 = store.blobs.put(archive.read(inside))
    store.blobs.refer(sha256, BLOB_KIND, message_id)
    done.blobs += 1


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    hasher = hashlib.sha256()
    with archive.open(name) as member:
        while chunk := member.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


class _Own:
    """Reads one of our exports."""

    def __init__(self, store: Store, person_id: str, archive: zipfile.ZipFile, checked_settings: Checked) -> None:
        self._checked_settings = checked_settings
        self._store = store
        self._person_id = person_id
        self._archive = archive
        self._done = Imported("yearling")
        self._ids: dict[str, str] = {}
        """Ids of the file that became others here."""
        self._samples: set[str] = set()

    def take(self) -> Imported:
        self._check()
        self._folders()
        self._take_samples()
        for row in self._rows("conversations"):
            self._conversation(row)
        self._each("comparisons", self._comparison)
        self._each("memories", self._memory)
        self._each("settings", lambda row: self._store.personal.change(self._person_id, self._checked_settings(row)))
        for kind, why in (
            ("feedback", "judgements stay in the log of where they were made"),
            ("shares", "a link is good only where it was made"),
        ):
            if count := sum(1 for _ in self._rows(kind)):
                self._done.left_out[(kind, why)] += count
        return self._done

    def _check(self) -> None:
        manifest = _parsed(self._archive.read(MANIFEST))
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("version") != FORMAT_VERSION:
            raise BadInput("This zip is no export of a Yearling that this one knows.", param="file")
        for name, (size, sha256) in manifest["files"].items():
            whole = name in self._archive.namelist() and _sha256(self._archive, name) == sha256
            if not whole or self._archive.getinfo(name).file_size != size:
                raise Untrusted(f"{name} in this export is not what was written.", advice="Export again.")

    def _rows(self, kind: str) -> Iterator[dict[str, Any]]:
        if f"{kind}.jsonl" in self._archive.namelist():
            with self._archive.open(f"{kind}.jsonl") as member:
                for line in member:
                    yield json.loads(line)

    def _each(self, kind: str, take: Callable[[dict[str, Any]], object]) -> None:
        for row in self._rows(kind):
            try:
                take(row)
            except UserError as error:
                self._done.left_out[(kind, error.message)] += 1

    def _folders(self) -> None:
        mine = {folder.name: folder for folder in self._store.folders.list(self._person_id)}
        for row in self._rows("folders"):
            there: Folder | None = mine.get(row["name"])
            if there is None:
                there = self._store.folders.create(
                    self._person_id,
                    row["name"],
                    folder_id=self._free("folders", row["id"]),
                    created_utc=parse_time(row["created_utc"]),
                )
                self._done.folders += 1
            self._ids[row["id"]] = there.id

    def _take_samples(self) -> None:
        batch: list[Sample] = []
        for row in self._rows("samples"):
            owner = self._owner(samples, row["id"])
            if owner == self._person_id:
                self._samples.add(row["id"])
                continue
            batch.append(self._sample(row))
            if len(batch) == _BATCH:
                self._store_samples(batch)
                batch = []
        self._store_samples(batch)

    def _store_samples(self, batch: list[Sample]) -> None:
        if not batch:
            return
        if self._store.samples.add_many(batch):
            self._done.samples += len(batch)
            self._samples.update(sample.id for sample in batch)
        else:
            self._done.left_out[("sample", "the retention setting keeps none")] += len(batch)

    def _sample(self, row: dict[str, Any]) -> Sample:
        sampling = row.pop("sampling")
        sampling = SamplingSettings(
            **{
                **sampling,
                "stop": tuple(sampling["stop"]),
                "logit_bias": tuple((at, bias) for at, bias in sampling["logit_bias"]),
            }
        )
        values = {
            **row,
            "id": self._free("samples", row["id"]),
            "person_id": self._person_id,
            "created_utc": parse_time(row["created_utc"]),
            "sampling": sampling,
            **{name: tuple(row[name]) for name in ("messages", "prompt_ids", "output_ids", "logprobs")},
        }
        return Sample(**values)

    def _conversation(self, row: dict[str, Any]) -> None:
        said = row.pop("messages")
        owner = self._owner(conversations, row["id"])
        if owner == self._person_id:
            self._done.known += 1
            return
        conversation_id = self._free("conversations", row["id"])
        claims: dict[str, list[str]] = {}
        tree = []
        for one in said:
            claims[self._free("messages", one["id"])] = one.pop("blobs", [])
        for one in said:
            sample_id = self._ids.get(one["sample_id"], one["sample_id"])
            values = {
                **one,
                "id": self._ids.get(one["id"], one["id"]),
                "parent_id": self._ids.get(one["parent_id"], one["parent_id"]),
                "conversation_id": conversation_id,
                "created_utc": parse_time(one["created_utc"]),
                "sample_id": sample_id if sample_id in self._samples else None,
            }
            tree.append(Message(**values))
        folder_id = self._ids.get(row["folder_id"] or "")
        values = {
            **row,
            "id": conversation_id,
            "person_id": self._person_id,
            "folder_id": folder_id,
            "leaf_id": self._ids.get(row["leaf_id"], row["leaf_id"]),
            "created_utc": parse_time(row["created_utc"]),
            "updated_utc": parse_time(row["updated_utc"]) if row["updated_utc"] else None,
        }
        self._store.conversations.add_whole(Conversation(**values), tree)
        self._done.conversations += 1
        self._done.messages += len(tree)
        for message_id, hashes in claims.items():
            for sha256 in hashes:
                self._store.blobs.put(self._archive.read(f"blobs/{sha256}"))
                self._store.blobs.refer(sha256, BLOB_KIND, message_id)
                self._done.blobs += 1

    def _comparison(self, row: dict[str, Any]) -> None:
        if self._owner(comparisons, row["id"]) == self._person_id:
            return
        ids = {name: self._ids.get(row[name], row[name]) for name in ("conversation_id", "question_id", "left_id", "right_id")}
        # The act lies in the log of another place; that a choice was made stays known.
        values = {**row, **ids, "id": self._free("comparisons", row["id"]), "created_utc": parse_time(row["created_utc"])}
        self._store.comparisons.put(ComparisonRecord(**values, person_id=self._person_id))

    def _memory(self, row: dict[str, Any]) -> None:
        values = {**row, "message_id": self._ids.get(row["message_id"] or "", row["message_id"])}
        if self._store.memories.put(self._person_id, {**values, "id": self._free("memories", row["id"])}):
            self._done.memories += 1

    def _free(self, table: str, old: str) -> str:
        """The id itself where nobody has it, a new one where somebody else does."""
        if old not in self._ids:
            target = sa.table(table, sa.column("id"))
            with self._store.database.read() as connection:
                taken = connection.execute(sa.select(target.c.id).where(target.c.id == old)).first()
            self._ids[old] = new_id() if taken else old
        return self._ids[old]

    def _owner(self, table: sa.Table, record_id: str) -> str | None:
        with self._store.database.read() as connection:
            return connection.execute(sa.select(table.c.person_id).where(table.c.id == record_id)).scalar()
