"""Fingerprints of all exams, by which lesson building recognises and drops exam questions.

Exams that cannot be opened here cannot be recognised either, so they are returned with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from yearling.chat import load_spec
from yearling.errors import BadInput
from yearling.evals.case import Case
from yearling.evals.exams.catalogue import exam_entries
from yearling.evals.exams.custom import load_custom_exam
from yearling.evals.exams.sources import ExamDataFolders
from yearling.tasks import ExamFingerprint, fingerprint_exam


def fingerprint_exams(
    downloads_dir: Path, user_data_dir: Path | None = None
) -> tuple[tuple[ExamFingerprint, ...], dict[str, str]]:
    """The fingerprints of the behaviour spec and of all exams that can be opened, and for each other exam what it misses.

    The folders are those of `ExamDataFolders`.
    """
    folders = ExamDataFolders(downloads_dir, user_data_dir)
    spec_prompts = [text for case in load_spec().cases for twin in case.twins for text in _prompt_texts(twin.messages)]
    fingerprints, missing = [fingerprint_exam("spec", spec_prompts)], dict[str, str]()
    for name, entry in exam_entries().items():
        if name == "spec":
            continue  # done above by its prompts alone: its facts and labels are common words
        if requirements := entry.missing_requirements(folders):
            missing[name] = requirements
        else:
            cases = entry.build(folders).cases
            fingerprints.append(fingerprint_exam(name, (text for case in cases for text in _case_texts(case))))
    for name, path in folders.own_exams().items():
        if name in exam_entries():
            continue
        try:
            cases = load_custom_exam(path).cases
        except BadInput as error:
            missing[name] = error.message
        else:
            fingerprints.append(fingerprint_exam(name, (text for case in cases for text in _case_texts(case))))
    return tuple(fingerprints), missing


def _case_texts(case: Case) -> Iterator[str]:
    """The texts of a case: its prompts, and whatever the grader compares answers with."""
    yield from _prompt_texts(case.messages)
    yield from _strings_in(list(case.options))
    yield from _strings_in(case.data)


def _prompt_texts(messages: Iterable[Mapping[str, object]]) -> Iterator[str]:
    yield from _strings_in([message for message in messages if message.get("role") != "system"])


def _strings_in(value: object) -> Iterator[str]:
    """Every text in plain data, except the roles of messages."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            if name != "role":
                yield from _strings_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings_in(part)
