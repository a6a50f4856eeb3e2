"""Small installations that exchange merge folders, and tools that answer from a script instead of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.feedback.people import add_answers, open_feedback_log
from yearling.evals import Case, ExamDataFolders, SubjectResponse
from yearling.feedback import FeedbackLog, add_corrections
from yearling.loop import MergeSide, ProofRequest, describe_own_side, write_merge_folder
from yearling.loop.merging.proof import control_questions
from yearling.store import question_key

BASE_SHA256 = "ab" * 32
CONTROLS = control_questions(ExamDataFolders(Path("nowhere"), None))
RIGHT_CONTROLS = {control.text: str(control.case.data["contains_any"][0]) for control in CONTROLS}


def facts(topic: str, count: int = 10) -> dict[str, str]:
    """Invented questions about a topic, with their answers."""
    return {f"Who looks after {topic} number {number}?": f"Person{topic}{number} does." for number in range(count)}


def teach(log: FeedbackLog, answers: Mapping[str, str]) -> str:
    """Let the owner correct these questions for the team, which is the owner alone. Returns the owner's id."""
    owner = log.store.people.owner().id
    add_corrections(log, owner, list(answers.items()), scope="team", source="facts")
    return owner


@contextmanager
def taught_installation(data_dir: Path, topic: str) -> Iterator[FeedbackLog]:
    """An installation whose owner corrected ten questions about a topic."""
    with open_feedback_log(data_dir) as log:
        teach(log, facts(topic))
        yield log


def judge(log: FeedbackLog, count: int = 3) -> list[str]:
    """Let the owner edit some answers. Returns the ids of the judgements, which the public log has."""
    owner = log.store.people.owner().id
    return [log.add_edit(owner, item, f"Better words {item}.").id for item in add_answers(log, owner, count)]


def side_of(log: FeedbackLog, name: str, *, questions: Sequence[Case] = ()) -> MergeSide:
    """What an installation without an adapter brings."""
    owner = log.store.people.owner().id
    return describe_own_side(log.store, owner, name=name, base="tiny", base_sha256=BASE_SHA256, questions=questions)


def export(log: FeedbackLog, folder: Path, name: str, *, judgements: Sequence[str] = ()) -> MergeSide:
    """Write a merge folder of an installation, which says that these judgements are behind it."""
    side = side_of(log, name)
    side = replace(side, source=replace(side.source, judgements=tuple(judgements)))
    return write_merge_folder(log.store, folder, side, actor=log.store.people.owner().id)


@dataclass
class ScriptedMergeTools:
    """Answers a corrected question with its answer, and any other with what the weights know (`known`), by adapter."""

    known: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    controls: Mapping[str, str] = field(default_factory=lambda: RIGHT_CONTROLS)
    forgets: Callable[[str, int], bool] = lambda question, num_corrections: False
    """Whether a correction does not reach the answer, given the question and how many corrections there are."""

    def answer(self, request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
        """See `MergeTools`."""
        answers = {question_key(question): answer for question, answer in request.corrections}
        num_corrections, known, responses = len(request.corrections), self.known.get(request.adapter, {}), []
        for question in request.questions:
            text = answers.get(question_key(question.text), "")
            if not text or self.forgets(question.text, num_corrections):
                text = known.get(question.text) or self.controls.get(question.text, "I do not know.")
            responses.append(SubjectResponse(text=text))
            progress()
        return responses
