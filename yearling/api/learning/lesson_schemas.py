"""Wire models of lesson sets. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.http.schemas import ResponseModel


class LessonSetView(ResponseModel):
    """A frozen set of lessons for training."""

    object: Literal["lesson_set"]
    """Always `lesson_set`."""
    hash: str
    """Hash of the set."""
    version: int
    """Version of the set, from 1."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    current: bool
    """Whether the last build produced this set."""
    train: dict[str, int]
    """Number of training lessons, by kind."""
    heldout: dict[str, int]
    """Number of held-out lessons, by kind."""
    seen: int
    """Number of judgements that the build saw."""
    kept: int
    """Number of judgements that lessons come from."""
    people: int
    """Number of people behind those judgements."""
    dropped: dict[str, int]
    """Number of judgements without a lesson, by reason."""
    consensus_run: int | None
    """Number of the consensus run behind the set; null if there was none."""


class LessonSetList(ResponseModel):
    """Lesson sets, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[LessonSetView]
    """The sets."""


class LessonSetReport(ResponseModel):
    """What a build used and dropped. Judgements are what people did; lessons are what the build made of them."""

    judgements_seen: dict[str, int]
    """Number of judgements that the build saw, by kind."""
    judgements_dropped: dict[str, int]
    """Number of judgements without a lesson, by reason."""
    lessons_made: dict[str, int]
    """Number of lessons made, by kind."""
    lessons_dropped: dict[str, dict[str, int]]
    """Number of lessons dropped, by kind and reason."""
    q: dict[str, int]
    """Number of preference pairs, by range of their consensus probability."""
    split: dict[str, str | int | float | None]
    """How lessons were divided into training and held-out lessons."""
    taken_back: dict[str, dict[str, int]]
    """Earlier sets that still contain retracted judgements: number of judgements, by set and reason."""
    edited_by_author: int
    """Number of lessons from answers whose owners edited the words before they let others rate them."""


class LessonSetDetail(LessonSetView):
    """A lesson set with its report."""

    previous: str | None
    """Hash of the set that was built before; null for the first."""
    report: LessonSetReport
    """The report."""


class LessonBuildView(ResponseModel):
    """The newest build of lessons that was started as a job."""

    object: Literal["lesson_build"]
    """Always `lesson_build`."""
    state: Literal["idle", "running", "finished", "failed"]
    """`idle` before the first build; `running` also while it waits for its turn; `failed` also if it was cancelled."""
    started_utc: str | None
    """Start time, ISO 8601 in UTC; null while idle."""
    finished_utc: str | None
    """End time, ISO 8601 in UTC; null while idle or running, or if unknown."""
    message: str
    """What came of it, for people: for a failed build, the error and what to do about it; why it waits, if it does."""
    lesson_set: str | None
    """Hash of the set that a finished build gave; null otherwise."""
    version: int | None
    """Version of that set; null otherwise."""
    is_new: bool | None
    """False if that set existed already, because nothing had changed; null unless finished."""


class LessonProgressView(ResponseModel):
    """How far it is to the next training."""

    object: Literal["lesson_progress"]
    """Always `lesson_progress`."""
    lessons: int
    """Number of lessons that a build would give at most now, and that no training run has used yet."""
    goal: int
    """Number of new lessons from which training can be expected to show anything."""


class LessonReference(ResponseModel):
    """A lesson, identified by the hash of its text."""

    kind: str
    """Kind of the lesson."""
    key: str
    """Hash of the lesson's text."""
    events: list[str]
    """IDs of the feedback events that the lesson comes from."""


class MovedLesson(ResponseModel):
    """A lesson that moved between training and held-out."""

    kind: str
    """Kind of the lesson."""
    key: str
    """Hash of the lesson's text."""
    before: Literal["train", "heldout"]
    """Part in the first set."""
    after: Literal["train", "heldout"]
    """Part in the second set."""


class LessonSetDifference(ResponseModel):
    """Difference between two lesson sets. Held-out lessons are counted and never listed."""

    object: Literal["lesson_set.difference"]
    """Always `lesson_set.difference`."""
    before: str
    """Hash of the first set."""
    after: str
    """Hash of the second set."""
    counts: dict[str, int]
    """Number of lessons in each group, without the limit."""
    came: list[LessonReference]
    """Training lessons that are only in the second set, at most `limit`."""
    went: list[LessonReference]
    """Training lessons that are only in the first set, at most `limit`."""
    judged_otherwise: list[LessonReference]
    """Training lessons in both sets that come from other judgements, at most `limit`."""
    moved: list[MovedLesson]
    """Lessons that moved between training and held-out, at most `limit`."""
