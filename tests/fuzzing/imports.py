"""Parsers of files that people import: chats of other programs, exports of Yearling, judgements."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from random import Random
from typing import Any

from tests.api.conversations.chat_exports import CHATGPT, OPEN_WEBUI, PNG, make_zip
from tests.feedback.people import add_answers
from tests.feedback.test_file_import import ACTS, LINES, NAMES, is_balanced
from tests.fuzzing.mutations import dump, examples, mutate_bytes, mutate_json_bytes, mutate_lines, words
from tests.fuzzing.target import FuzzTarget
from tests.store.transfer.test_chat_formats import CLAUDE, LIBRECHAT, LLAMACPP
from yearling.api.conversations.personal_data import export_personal_data, import_personal_data, import_report_json
from yearling.config import Settings
from yearling.errors import BadInput, Untrusted
from yearling.feedback import FeedbackLog, export_log_lines, import_feedback_file
from yearling.store import Store


class _StoreTarget(FuzzTarget):
    """A parser that writes to a store, which is replaced before it grows large."""

    cpu_s = 2.0
    inputs_per_store = 400

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self._num_stores = self._count = 0
        self.log = self._open()

    def _open(self) -> FeedbackLog:
        self._num_stores += 1
        return FeedbackLog(Store.open(Settings(data_dir=self.folder / str(self._num_stores))))

    def next_log(self) -> FeedbackLog:
        """The log of a store with at most `inputs_per_store` inputs."""
        self._count += 1
        if self._count % self.inputs_per_store == 0:
            self.log.store.close()
            self.log = self._open()
        return self.log

    def close(self) -> None:
        """Close the store."""
        self.log.store.close()


class ChatImportTarget(_StoreTarget):
    """Exports of ChatGPT, Claude, LibreChat, llama.cpp, Open WebUI and Yearling, as JSON and as zip."""

    names = words(
        """
        title mapping message parent children author role content content_type parts current_node chat history messages
        currentId parentId childrenIds timestamp chat_messages sender text uuid conv convId lastModified currNode messageId
        parentMessageId isCreatedByUser conversationId files create_time created_at updated_at model attachments user
        assistant tool system id metadata data:image/png;base64,iVBORw0KGgo= file-service://file-abc multimodal_text
        asset_pointer tags annotation
        """
    )

    def seeds(self) -> list[bytes]:
        """Every format alone and in a zip, a zip of all, and an export of ours."""
        formats: dict[str, Any] = {
            "conversations.json": CHATGPT, "open-webui.json": OPEN_WEBUI, "claude.json": [CLAUDE], "librechat.json": LIBRECHAT,
            "llama.json": LLAMACPP,
        }  # fmt: skip
        store, person_id = self.log.store, self.log.store.people.owner().id
        import_personal_data(self.log, person_id, io.BytesIO(dump(OPEN_WEBUI)))
        import_personal_data(self.log, person_id, io.BytesIO(dump(CHATGPT)))
        for answer in add_answers(self.log, person_id):
            self.log.rate(person_id, answer, 1)
        own = io.BytesIO()
        export_personal_data(self.log, person_id, own)
        store.close()
        self.log = self._open()
        return [
            own.getvalue(),
            make_zip({name: dump(value) for name, value in formats.items()}),
            make_zip({"conversations.json": dump(CHATGPT), "file-abc-a.png": PNG, "chat.html": b"<html>"}),
            *map(dump, formats.values()),
        ]

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change a file inside a zip, its name or the directory; or the JSON; or bytes."""
        if random.random() < 0.15:
            return mutate_bytes(data, random)
        if not data.startswith(b"PK"):
            return mutate_json_bytes(data, random, self.names)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
        except Exception:
            return mutate_bytes(data, random)
        return self._mutated_zip(members, random) if members else mutate_bytes(data, random)

    def _mutated_zip(self, members: dict[str, bytes], random: Random) -> bytes:
        name = random.choice(sorted(members))
        content = members.pop(name)
        if random.random() < 0.1:
            name = random.choice(
                ("../x.json", "a\x00b.json", "conversations.json", "manifest.json", "x.jsonl", "\udcff.json", "a/b.json")
            )
        elif name.endswith(".jsonl"):
            content = mutate_lines(content, random, lambda line, random: mutate_json_bytes(line, random, self.names))
        else:
            content = mutate_json_bytes(content, random, self.names)
        file = io.BytesIO()
        packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(file, "w", packing) as archive:
            for each, data in {**members, name: content}.items():
                archive.writestr(each.encode("utf-8", "replace").decode(), data)
        return file.getvalue()

    def check(self, data: bytes) -> bool:
        """The import reports, or refuses with BadInput or Untrusted; what it stored can be listed and exported."""
        log = self.next_log()
        person_id = log.store.people.owner().id
        try:
            result = import_personal_data(log, person_id, io.BytesIO(data))
        except (BadInput, Untrusted):
            return False
        json.dumps(import_report_json(result), ensure_ascii=False).encode()
        for conversation in log.store.conversations.list(person_id)[:3]:
            log.store.conversations.list_messages(conversation.id, person_id=person_id)
        if self._count % 100 == 0:
            copy = io.BytesIO()
            export_personal_data(log, person_id, copy)
            copy.seek(0)
            assert not import_personal_data(log, person_id, copy).skipped
        return True


class FeedbackImportTarget(_StoreTarget):
    """Files of judgements in the three formats: one line with the format, then the file."""

    inputs_per_store = 1_000
    names = words(
        """
        kind rating comparison note note_rating edit retraction removal vouch admission jury_invitation text status_change actor
        item value tags created_utc id left right outcome tie jurors event chosen rejected prompt instruction response1 response2
        annotator1 content role salt sha256 2026-01-01T00:00:00Z ann ben answer-1 yearling_feedback_log version head
        text_sha256 words
        """
    )

    def seeds(self) -> list[bytes]:
        """Lines of the tests, generated acts, an export, pairs and annotated pairs."""
        random = Random(self.seed)
        acts = [
            {**act, "actor": actor}
            for act, actor in zip(examples(ACTS, 60, self.seed), examples(NAMES, 60, self.seed), strict=False)
        ]
        dialogue = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How are you?\n\nAssistant:"
        pairs = [
            {"chosen": f"{dialogue} Fine.", "rejected": f"{dialogue} Bad."},
            {"prompt": "How?", "chosen": "So.", "rejected": "No."},
            {"chosen": [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}],
             "rejected": [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "No."}]},
        ]  # fmt: skip
        annotated = [{"instruction": "Do", "input": "x", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 2}]
        lines = [b"\n".join(map(dump, random.sample(acts, min(8, len(acts))))) for _ in range(5)]
        own = self.folder / "own.jsonl"
        own.write_bytes(b"\n".join(map(dump, LINES)))
        import_feedback_file(self.log.store, own, "jsonl")
        exported = b"".join(export_log_lines(self.log.store))
        return [
            *(b"jsonl\n" + content for content in (own.read_bytes(), exported, *lines)),
            b"pairs\n" + b"\n".join(map(dump, pairs)),
            b"annotators\n" + dump(annotated),
        ]

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change a line, or the format."""
        format, _, content = data.partition(b"\n")
        if random.random() < 0.02:
            format = random.choice((b"jsonl", b"pairs", b"annotators"))
        if random.random() < 0.1:
            return format + b"\n" + mutate_bytes(content, random)
        return format + b"\n" + mutate_lines(content, random, lambda line, random: mutate_json_bytes(line, random, self.names))

    def check(self, data: bytes) -> bool:
        """Every record is accounted for, or the file is refused with a UserError."""
        log = self.next_log()
        name, _, content = data.partition(b"\n")
        path = self.folder / "input.jsonl"
        path.write_bytes(content)
        try:
            if name == b"pairs":
                report = import_feedback_file(log.store, path, "pairs")
            elif name == b"annotators":
                report = import_feedback_file(log.store, path, "annotators")
            else:
                report = import_feedback_file(log.store, path, "jsonl")
        except (BadInput, Untrusted):
            return False
        assert is_balanced(report)
        json.dumps(report.dropped, ensure_ascii=False).encode()
        return report.num_kept > 0
