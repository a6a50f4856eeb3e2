"""The ceilings of imports that `docs/limits.md` lists, beyond those of `json_records`."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import struct
import zipfile
from pathlib import Path

import pytest

from tests.api.conversations.chat_exports import make_zip
from tests.store.transfer.importing import chatgpt_chat, chats, import_bytes, import_file, import_json, texts
from yearling.errors import BadInput
from yearling.store import Store
from yearling.store.transfer import archives, importer, yearling_export

ROOT = Path(__file__).parents[3]
CHATS = json.dumps([chatgpt_chat("a", "Hi")]).encode()


def test_long_title_is_cut(local_store: Store) -> None:
    import_json(local_store, [chatgpt_chat("a", "Hi", title="x" * 1000)])
    assert len(chats(local_store)[0].title) == 200


def test_large_directory_is_refused(local_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 1000)
    assert import_bytes(local_store, make_zip({"conversations.json": CHATS})).conversations == 1
    with pytest.raises(BadInput, match="directory"):
        import_bytes(local_store, make_zip({"conversations.json": CHATS, "x" * 1000: b""}))


def test_many_members_are_refused(local_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    with pytest.raises(BadInput, match="members"):
        import_bytes(local_store, make_zip({f"{index}.json": CHATS for index in range(6)}))


def test_other_packing_is_refused(local_store: Store) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("conversations.json", CHATS)
    with pytest.raises(BadInput, match="method"):
        import_bytes(local_store, file.getvalue())
    encrypted = bytearray(make_zip({"conversations.json": CHATS}))
    encrypted[encrypted.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(BadInput, match="encrypted"):
        import_bytes(local_store, bytes(encrypted))


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_damage_anywhere_in_a_zip_is_reported(local_store: Store, tmp_path: Path, is_on_disk: bool) -> None:
    """Bytes are changed at random, mostly in the directory and the headers. On a disk, other errors occur than in memory."""
    rng = random.Random(7)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", CHATS)
        with archive.open(zipfile.ZipInfo("ü.json"), "w", force_zip64=True) as member:
            member.write(CHATS)
    content, num_refused = file.getvalue(), 0
    for _ in range(800):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.choice((rng.randrange(len(damaged)), -rng.randint(1, 200)))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        (tmp_path / "damaged.zip").write_bytes(damaged)
        try:
            with (tmp_path / "damaged.zip").open("rb") if is_on_disk else io.BytesIO(damaged) as opened:
                import_file(local_store, opened)
        except BadInput:
            num_refused += 1
    assert num_refused > 200


def test_zip_in_parts_is_refused(local_store: Store) -> None:
    """What is left of a zip of several disks: `zipfile` raises where it only looks whether a file is a zip."""
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 3)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    with pytest.raises(BadInput, match="damaged"):
        import_bytes(local_store, b"PK\x03\x04" + b"\0" * 60 + locator + end)


def test_damaged_member_is_reported_and_the_rest_taken(local_store: Store) -> None:
    content = make_zip({"a.json": CHATS, "b.json": CHATS.replace(b"Hi", b"Ho").replace(b'"a', b'"b')})
    damaged = content.replace(b"Ho", b"Hx")
    result = import_bytes(local_store, damaged)
    assert any(what == "file b.json" and "damaged" in reason for what, reason in result.skipped)
    assert [texts(local_store, chat)[0] for chat in chats(local_store)] == ["Hi"]


def test_reports_have_a_ceiling(local_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "MAX_NAMED_PROBLEMS", 3)
    bad = [{"title": f"Bad {index}", "mapping": None} for index in range(8)]
    result = import_json(local_store, [chatgpt_chat("a", "Hi"), *bad])
    assert (len(result.skipped), sum(result.skipped.values())) == (4, 8)
    assert result.skipped[("conversation", "the mapping is not an object")] == 5


def own_export(manifest: object, **files: bytes) -> bytes:
    return make_zip({"manifest.json": json.dumps(manifest).encode(), **{f"{name}.jsonl": data for name, data in files.items()}})


@pytest.mark.parametrize("files", [None, [], {"a": 5}, {"a": []}, {"a": [1, 2, 3]}])
def test_malformed_manifest_is_refused(local_store: Store, files: object) -> None:
    with pytest.raises(BadInput):
        import_bytes(local_store, own_export({"format": "yearling-export", "version": 1, "files": files}))


@pytest.mark.parametrize("line", [b'{"x": "' + b"y" * 2000 + b'"}', b"[" * 1500 + b"]" * 1500, b"7", b"[" * 400 + b"," * 400])
def test_large_line_of_our_own_export_is_refused(local_store: Store, monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(yearling_export, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(yearling_export, "MAX_LINE_VALUES", 700)
    files = {"folders.jsonl": [len(line), hashlib.sha256(line).hexdigest()]}
    manifest = {"format": "yearling-export", "version": 1, "files": files}
    with pytest.raises(BadInput):
        import_bytes(local_store, own_export(manifest, folders=line))


def test_page_of_limits_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8").partition("## Imports")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(test_\w+)`", page))
    others = ("api/conversations/test_import_export.py", "api/conversations/test_import_load.py", "cli/test_conversations.py")
    sources = [*Path(__file__).parent.glob("test_*.py"), *(ROOT / "tests" / name for name in others)]
    defined = set(re.findall(r"def (test_\w+)", "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    assert named
    assert named <= defined


def test_members_at_odd_places_and_with_odd_names_are_refused(local_store: Store) -> None:
    content = make_zip({"conversations.json": CHATS})
    directory = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    size_at, offset_at = end + 12, end + 16
    moved = bytearray(content)
    moved[offset_at : offset_at + 4] = (directory + 265).to_bytes(4, "little")
    with pytest.raises(BadInput, match="damaged"):
        import_bytes(local_store, bytes(moved))
    for header, flags_at, name_at in ((0, 6, 30), (directory, 8, 46)):
        odd = bytearray(content)
        odd[header + flags_at + 1] |= 8  # the name is UTF-8
        odd[header + name_at] = 0xFF
        with pytest.raises(BadInput):
            import_bytes(local_store, bytes(odd))
    assert int.from_bytes(content[size_at : size_at + 4], "little") == end - directory
