"""Frozen lesson sets: reading returns what was written, and incomplete or changed sets are never opened."""

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

PROMPT_MESSAGES = ({"role": "user", "content": "Wie heißt du?\ud800"},)


def example_lessons() -> list[Lesson]:
    return [
        Thumb(lesson_key("thumb", PROMPT_MESSAGES, "x"), PROMPT_MESSAGES, "x", up=False, source="consensus e1 e2"),
        Demonstration(lesson_key("demonstration", PROMPT_MESSAGES, "y"), PROMPT_MESSAGES, "y", 0.5, (1, 2), (3, 4), "m"),
        PreferencePair(
            lesson_key("pair", PROMPT_MESSAGES, "x", "y"),
            PROMPT_MESSAGES,
            "y",
            "x",
            0.75,
            0.5,
            (1, 2),
            (3,),
            (4,),
            "m",
            "edit e3",
        ),
        Prompt(lesson_key("prompt", PROMPT_MESSAGES, "sums"), PROMPT_MESSAGES, "sums", {"b": 1, "a": [1.5]}),
    ]


def test_set_returns_the_frozen_lessons_of_the_train_part(tmp_path: Path) -> None:
    thumb, demonstration, pair, prompt = example_lessons()
    assert isinstance(prompt, Prompt)
    lesson_set = freeze_lesson_set([thumb, pair, prompt], tmp_path, heldout=[demonstration], version=3, report={"seen": 4})
    assert lesson_set.folder == tmp_path / lesson_set.hash
    assert (lesson_set.version, lesson_set.report()) == (3, {"seen": 4})
    assert (lesson_set.thumbs(), lesson_set.pairs(), lesson_set.prompts()) == ([thumb], [pair], [prompt])
    assert lesson_set.demonstrations() == []
    assert read_heldout_lessons(lesson_set) == [demonstration]
    assert list(prompt.task) == ["b", "a"] == list(lesson_set.prompts()[0].task)
    assert [judgement_ids(lesson) for lesson in (thumb, pair, prompt)] == [("e1", "e2"), ("e3",), ()]


def test_hash_depends_on_the_lessons_only(tmp_path: Path) -> None:
    lessons = example_lessons()
    first = freeze_lesson_set(lessons, tmp_path / "a", version=1, report={"a": 1})
    second = freeze_lesson_set(reversed(lessons), tmp_path / "b", version=2, manifest_fields={"b": 1})
    assert first.hash == second.hash
    assert freeze_lesson_set(lessons[:3], tmp_path / "c").hash != first.hash
    assert freeze_lesson_set(lessons[:3], tmp_path / "c", heldout=lessons[3:]).hash != first.hash
    assert freeze_lesson_set(lessons, tmp_path / "a", version=9).version == 1, "what is frozen stays"


def test_repeated_keys_are_rejected(tmp_path: Path) -> None:
    lessons = example_lessons()
    with pytest.raises(BadInput):
        freeze_lesson_set([lessons[0], *lessons], tmp_path)
    with pytest.raises(BadInput):
        freeze_lesson_set(lessons, tmp_path, heldout=lessons[:1])
    assert (
        lesson_key("pair", PROMPT_MESSAGES, "a", "b")
        == lesson_key("pair", PROMPT_MESSAGES, "b", "a")
        != lesson_key("pair", PROMPT_MESSAGES, "a", "c")
    )


@pytest.mark.parametrize("name", ["manifest.json", "train.jsonl", "heldout.jsonl", "report.json"])
def test_every_changed_byte_is_detected(tmp_path: Path, name: str) -> None:
    lessons = example_lessons()
    lesson_set = freeze_lesson_set(lessons[:2], tmp_path, heldout=lessons[2:])
    path = lesson_set.folder / name
    content = path.read_bytes()
    for at in range(0, len(content), 1 + len(content) // 40):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(Untrusted):
            LessonSet.open(lesson_set.folder)
    path.unlink()
    with pytest.raises(NotFound if name == "manifest.json" else Untrusted):
        LessonSet.open(lesson_set.folder)


def test_change_after_opening_is_detected_when_reading(tmp_path: Path) -> None:
    lesson_set = freeze_lesson_set(example_lessons(), tmp_path)
    (lesson_set.folder / "train.jsonl").write_bytes(b"")
    with pytest.raises(Untrusted):
        lesson_set.pairs()


class PowerCut(BaseException):
    """A simulated power failure, which no handler catches and after which nothing is cleaned up."""


def test_power_failure_at_any_step_leaves_a_complete_set_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power fails after each call to the file system in turn; the folder then holds a complete set or none."""
    complete_hash = freeze_lesson_set(example_lessons(), tmp_path / "whole").hash
    calls, cuts, folder_counts = 0, 0, set()

    def count_calls(real: Any) -> Any:
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
                patch.setattr(owner, name, count_calls(getattr(owner, name)))
            patch.setattr(Path, "open", count_calls(Path.open))
            patch.setattr("shutil.rmtree", lambda *_, **__: None)
            try:
                freeze_lesson_set(example_lessons(), folder)
                has_finished = True
            except PowerCut:
                has_finished = False
        folders = [path for path in folder.glob("*") if not path.name.startswith(".")] if folder.exists() else []
        folder_counts.add(len(folders))
        for path in folders:
            assert LessonSet.open(path).hash == complete_hash
        assert freeze_lesson_set(example_lessons(), folder).hash == complete_hash, (
            "the next build is not in the way of what was left"
        )
        cuts += 1
        if has_finished:
            break
    assert cuts > 10
    assert folder_counts == {0, 1}


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", raise_disk_full)
        (tmp_path / "lessons").mkdir()
        with pytest.raises(StorageFailed, match="full"):
            freeze_lesson_set(example_lessons(), tmp_path / "lessons")
    assert list((tmp_path / "lessons").iterdir()) == []


def test_unknown_format_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "something"}))
    with pytest.raises(UserError):
        LessonSet.open(tmp_path)
