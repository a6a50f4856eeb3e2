"""Import of a person's data from a file: conversations from other programs, or one of our own exports.

A chat export of another program is read record by record: `json_records.py` splits it, `chat_formats.py` parses a record and
`chat_writer.py` stores it. A record that is malformed is reported with its name and the reason, and the others are imported. One
of ours is imported by `yearling_export.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from yearling.errors import BadInput, Conflict, NotFound
from yearling.files.reading import ZIP_DAMAGE_ERRORS
from yearling.store.store import Store
from yearling.store.transfer.archives import ArchiveFiles, is_archive, open_archive
from yearling.store.transfer.chat_formats import detect_format, parse_chat
from yearling.store.transfer.chat_writer import ChatWriter
from yearling.store.transfer.exporter import EXPORT_MANIFEST_MEMBER
from yearling.store.transfer.json_records import ImportBudget, RawRecord, RecordRejected, decode_record, iter_records
from yearling.store.transfer.source_chats import build_conversation, clean_title
from yearling.store.transfer.yearling_export import ActImporter, PersonImportResult, SettingsValidator, YearlingImporter

MAX_NAMED_PROBLEMS = 1_000
"""So many records that are not imported are reported by name. Further ones are counted by their reason."""

_MAX_NAME_CHARS = 60
_ASSET_PREFIXES = ("file-", "file_")
"""How ChatGPT names the files of messages, which can be JSON as well."""


def import_person_data(
    store: Store,
    person_id: str,
    file: IO[bytes],
    *,
    max_bytes: int,
    validate_settings: SettingsValidator,
    import_acts: ActImporter,
) -> PersonImportResult:
    """Import an export of ChatGPT, Claude, LibreChat, llama.cpp, Open WebUI or Yearling. Importing it again changes nothing.

    Each conversation is stored completely or not at all; those that cannot be are in `skipped` of the result, with their reason.
    Work is linear in the file; the ceilings are in `docs/limits.md`. Raises BadInput for any other file, Untrusted for a damaged
    export of ours, StorageFailed.
    """
    importer = _ChatImporter(store, person_id)
    if not is_archive(file):
        importer.run(file, ArchiveFiles(store, None))
        return importer.result()
    with open_archive(file, max_bytes) as archive:
        names = set(archive.namelist())
        if EXPORT_MANIFEST_MEMBER in names and not _is_foreign_manifest(names):
            return YearlingImporter(store, person_id, archive, validate_settings, import_acts).run()
        files = ArchiveFiles(store, archive)
        chats = sorted(
            name for name in names if name.endswith(".json") and not name.rpartition("/")[2].startswith(_ASSET_PREFIXES)
        )
        if not chats:
            raise BadInput("There are no conversations in this zip.", param="file")
        for name in chats:
            with archive.open(name) as member:
                importer.run(member, files, name)
        return importer.result()


def _is_foreign_manifest(names: set[str]) -> bool:
    return "conversations.jsonl" not in names and any(name.endswith("conversations.json") for name in names)


class _ChatImporter:
    """Imports the records of one file, or of the files in one archive."""

    def __init__(self, store: Store, person_id: str) -> None:
        self._result = PersonImportResult("")
        self._writer = ChatWriter(store, person_id, self._result)
        self._person_id = person_id
        self._budget = ImportBudget.start()
        self._num_named = 0

    def run(self, stream: IO[bytes], files: ArchiveFiles, name: str = "") -> None:
        """Import the records of a file. `name` is its name in an archive, where a file may be something else.

        Raises BadInput for a file outside an archive that is not JSON, StorageFailed.
        """
        unknown: list[tuple[str, str]] = []
        has_chats = False
        try:
            for raw in iter_records(stream, self._budget):
                label, reason, is_chat = self._import_record(raw, files, name)
                has_chats |= is_chat
                if reason and not has_chats and len(unknown) < MAX_NAMED_PROBLEMS and name:
                    unknown.append((label, reason))
                elif reason:
                    self._report(label, reason)
        except BadInput as error:
            if not name:
                raise
            self._report(f"file {name}", error.message)
            return
        except ZIP_DAMAGE_ERRORS as error:
            self._report(f"file {name}", f"it is damaged in the zip: {error}")
            return
        if not name:
            return
        if has_chats or any(reason.endswith("not read") for _, reason in unknown):
            for label, reason in unknown:
                self._report(label, reason)
        elif unknown:
            self._report(f"file {name}", "it holds no conversations")

    def result(self) -> PersonImportResult:
        """The result. Raises BadInput if nothing in the file was a conversation of a known format."""
        if not self._result.format:
            reasons = [reason for _, reason in self._result.skipped]
            raise BadInput(
                "This file is not an export of ChatGPT, Claude, LibreChat, llama.cpp, Open WebUI or Yearling"
                + (f": {reasons[0]}." if reasons else "."),
                advice="Send the complete zip of the export, its conversations.json, or the JSON file of the chats.",
                param="file",
            )
        return self._result

    def _import_record(self, raw: RawRecord, files: ArchiveFiles, file_name: str) -> tuple[str, str, bool]:
        """Import one record. Returns its label, why it was not imported ("" if it was), and whether it is a chat."""
        label = f"record {raw.number}" + (f" of {file_name}" if file_name else "")
        if raw.problem:
            return label, raw.problem, False
        format = None
        try:
            record = decode_record(raw.data)
            format = detect_format(record)
            if format is not None:
                self._result.format = self._result.format or format
                label = _display_name(record) or label
            chat = parse_chat(record, max_asset_bytes=files.max_bytes)
            self._writer.write(build_conversation(chat, self._person_id), files)
        except RecordRejected as error:
            return label, str(error), format is not None
        except RecursionError:
            return label, "it is nested too deeply", format is not None
        except (BadInput, Conflict, NotFound) as error:
            return label, error.message, format is not None
        return label, "", True

    def _report(self, label: str, reason: str) -> None:
        self._num_named += 1
        if self._num_named > MAX_NAMED_PROBLEMS:
            label = "conversation"
        self._result.skipped[(label, reason)] += 1


def _display_name(record: object) -> str:
    """The name in the report of a conversation that is not imported; empty if it has no title."""
    layers = [record] if isinstance(record, dict) else []
    layers += [layer[name] for layer in layers for name in ("chat", "conv") if isinstance(layer.get(name), dict)]
    for title in _iter_titles(layers):
        return f"conversation “{title}”"
    return ""


def _iter_titles(layers: list[dict[str, object]]) -> Iterator[str]:
    for layer in layers:
        for name in ("title", "name"):
            try:
                title = clean_title(layer.get(name))
            except RecordRejected:
                continue
            if title:
                yield title[:_MAX_NAME_CHARS]
