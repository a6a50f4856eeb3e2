"""Frozen sets: what is written is what is read, and nothing half-written or changed is ever opened."""

from __future__ import annotations

import builtins
import json
import os
from pathlib import Path
from typing import Any

import pytest

from yearling.errors import BadInput, NotFound, StorageFailed, Untrusted, UserError
from yearling.tasks import (
    Demonstration,
    Lesson,
    LessonSet,
    PreferencePair,
    Prompt,
    Thumb,
    freeze_lesson_set,
    judgement_ids,
    lesson_key,
)
from yearling.tasks.heldout import read_heldout_lessons

ASKED = ({"role": "user", "content": "Wie heißt du?\ud800"},)


def some_lessons() -> list[Lesson]:
    return [
        Thumb(lesson_key("thumb", ASKED, "x"), ASKED, "x", up=False, source="consensus e1 e2"),
        Demonstration(lesson_key("demonstration", ASKED, "y"), ASKED, "y", 0.5, (1, 2), (3, 4), "m"),
        PreferencePair(lesson_key("pair", ASKED, "x", "y"), ASKED, "y", "x", 0.75, 0.5, (1, 2), (3,), (4,), "m", "edit e3"),
        Prompt(lesson_key("prompt", ASKED, "sums"), ASKED, "sums", {"b": 1, "a": [1.5]}),
    ]


def test_a_set_gives_back_what_was_frozen_and_only_the_train_part(tmp_path: Path) -> None:
    thumb, demonstration, pair, prompt = some_lessons()
    opened = freeze_lesson_set([thumb, pair, prompt], tmp_path, heldout=[demonstration], version=3, report={"seen": 4})
    assert opened.folder == tmp_path / opened.hash
    assert (opened.version, opened.report()) == (3, {"seen": 4})
    assert (opened.thumbs(), opened.pairs(), opened.prompts()) == ([thumb], [pair], [prompt])
    assert opened.demonstrations() == []
    assert read_heldout_lessons(opened) == [demonstration]
    assert list(prompt.task) == ["b", "a"] == list(opened.prompts()[0].task)
    assert [judgement_ids(lesson) for lesson in (thumb, pair, prompt)] == [("e1", "e2"), ("e3",), ()]


def test_the_hash_is_of_the_lessons_alone(tmp_path: Path) -> None:
    lessons = some_lessons()
    first = freeze_lesson_set(lessons, tmp_path / "a", version=1, report={"a": 1})
    second = freeze_lesson_set(reversed(lessons), tmp_path / "b", version=2, manifest_fields={"b": 1})
    assert first.hash == second.hash
    assert freeze_lesson_set(lessons[:3], tmp_path / "c").hash != first.hash
    assert freeze_lesson_set(lessons[:3], tmp_path / "c", heldout=lessons[3:]).hash != first.hash
    assert freeze_lesson_set(lessons, tmp_path / "a", version=9).version == 1, "what is frozen stays"


def test_a_key_occurs_once(tmp_path: Path) -> None:
    lessons = some_lessons()
    with pytest.raises(BadInput):
        freeze_lesson_set([lessons[0], *lessons], tmp_path)
    with pytest.raises(BadInput):
        freeze_lesson_set(lessons, tmp_path, heldout=lessons[:1])
    assert lesson_key("pair", ASKED, "a", "b") == lesson_key("pair", ASKED, "b", "a") != lesson_key("pair", ASKED, "a", "c")


@pytest.mark.parametrize("name", ["manifest.json", "train.jsonl", "heldout.jsonl", "report.json"])
def test_every_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    lessons = some_lessons()
    opened = freeze_lesson_set(lessons[:2], tmp_path, heldout=lessons[2:])
    path = opened.folder / name
    content = path.read_bytes()
    for at in range(0, len(content), 1 + len(content) // 40):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(Untrusted):
            LessonSet.open(opened.folder)
    path.unlink()
    with pytest.raises(NotFound if name == "manifest.json" else Untrusted):
        LessonSet.open(opened.folder)


def test_a_change_after_opening_is_noticed_when_reading(tmp_path: Path) -> None:
    opened = freeze_lesson_set(some_lessons(), tmp_path)
    (opened.folder / "train.jsonl").write_bytes(b"")
    with pytest.raises(Untrusted):
        opened.pairs()


class PowerCut(BaseException):
    """Ends the program at once: nothing catches it, and nothing that it left is tidied."""


def test_power_may_fail_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each single call to the file system the power fails; what is there then is a whole set or none."""
    whole = freeze_lesson_set(some_lessons(), tmp_path / "whole").hash
    calls, cuts, seen = 0, 0, set()

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > cuts:
                raise PowerCut
            return real(*arguments, **keywords)

        return call

    while True:
        folder, calls = tmp_path / f"cut{cuts}" / "lessons", 0
        with monkeypatch.context() as patch:
            for owner, name in ((os, "fsync"), (os, "open"), (os, "rename"), (os, "mkdir"), (builtins, "open")):
                patch.setattr(owner, name, counted(getattr(owner, name)))
            patch.setattr(Path, "open", counted(Path.open))
            patch.setattr("shutil.rmtree", lambda *_, **__: None)
            try:
                freeze_lesson_set(some_lessons(), folder)
                done = True
            except PowerCut:
                done = False
        found = [path for path in folder.glob("*") if not path.name.startswith(".")] if folder.exists() else []
        seen.add(len(found))
        for path in found:
            assert LessonSet.open(path).hash == whole
        assert freeze_lesson_set(some_lessons(), folder).hash == whole, "the next build is not in the way of what was left"
        cuts += 1
        if done:
            break
    assert cuts > 10
    assert seen == {0, 1}


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        (tmp_path / "lessons").mkdir()
        with pytest.raises(StorageFailed, match="full"):
            freeze_lesson_set(some_lessons(), tmp_path / "lessons")
    assert list((tmp_path / "lessons").iterdir()) == []


def test_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "something"}))
    with pytest.raises(UserError):
        LessonSet.open(tmp_path)
