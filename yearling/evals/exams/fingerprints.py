"""What every exam can be recognised by, so that nothing of it is learnt: for building lessons.

An exam that cannot be opened here cannot be guarded against either; which those are is told, and nobody has to guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from yearling.chat import load_spec
from yearling.evals.case import Case
from yearling.evals.exams.catalogue import exam_entries
from yearling.evals.exams.sources import ExamDataFolders
from yearling.tasks import ExamFingerprint, fingerprint_exam


def fingerprint_exams(
    downloads_dir: Path, user_data_dir: Path | None = None
) -> tuple[tuple[ExamFingerprint, ...], dict[str, str]]:
    """The fingerprints of the behaviour spec's cases and of all exams that can be opened, and why the others could not be.

    `fetched` and `given` are those of `Places`: the folder of fetched exams, and the user's own folder of data sets.
    """
    places = ExamDataFolders(downloads_dir, user_data_dir)
    asked = [text for case in load_spec().cases for twin in case.twins for text in _prompt_texts(twin.messages)]
    found, missing = [fingerprint_exam("spec", asked)], dict[str, str]()
    for name, entry in exam_entries().items():
        if name == "spec":
            continue  # done: its facts and labels are not for recognising it by
        why = entry.missing_requirements(places)
        if why:
            missing[name] = why
        else:
            found.append(fingerprint_exam(name, (text for case in entry.build(places).cases for text in _case_texts(case))))
    return tuple(found), missing


def _case_texts(case: Case) -> Iterator[str]:
    """What a case says: the questions, and whatever the grader compares answers with."""
    yield from _prompt_texts(case.messages)
    yield from _strings_in(list(case.options))
    yield from _strings_in(case.data)


def _prompt_texts(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield from _strings_in([message for message in messages if message.get("role") != "system"])


def _strings_in(value: Any) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            if name != "role":
                yield from _strings_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings_in(part)
