"""What an exam is made of: cases, a grader, verdicts and metrics. Data and protocols only.

A case is independent of models and storage. The runner (`runner.py`) puts it to a subject (`subject.py`) and stores the answer
with its verdict as a `GradedSample`; `summary.py` aggregates those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from yearling.canonical import canonical_json
from yearling.errors import BadInput
from yearling.evals.lookup.question_sets import QuestionSet
from yearling.evals.statistics import Interval
from yearling.records import FinishReason
from yearling.store import GradedSample

GraderKind = Literal["exact", "rules", "judge"]
ErrorSource = Literal["engine", "grader"]

MAX_KEY_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question of an exam. `messages` have OpenAI's form and end with the turn that is to be answered."""

    key: str
    """Unique within the exam and stable over its versions. The samples of two models are paired by it."""
    messages: tuple[dict[str, Any], ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the grader needs, such as reference answers. Plain JSON, never shown to the model."""
    options: tuple[str, ...] = ()
    """If given, nothing is generated: the subject returns the log-probability of each option as the answer."""
    part: str = ""
    """The part of the exam that reports count it under, such as a category or a clause."""
    cluster: str = ""
    """Cases of one cluster depend on each other (twins, paraphrases). Empty for a case of its own."""
    num_samples: int = 0
    """How many answers to draw. 0 means as many as the exam says."""

    @property
    def cluster_key(self) -> str:
        """The unit that confidence intervals resample."""
        return self.cluster or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectResponse:
    """A subject's answer to one case."""

    text: str
    finish_reason: FinishReason = "stop"
    option_logprobs: tuple[float, ...] = ()
    """Sum over the tokens of each option, in nats. Only for cases with options."""
    option_tokens: tuple[int, ...] = ()
    prompt_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    messages: tuple[Mapping[str, object], ...] = ()
    """What the model was shown: the messages of the case and those that the assistant adds."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    """Why there is no answer. The sample then fails with this reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A grader's judgement of one answer.

    `score` lies between 0 and 1, or within the score table of the case (−2 to 1 in the behaviour spec).
    """

    score: float
    label: str = ""
    """The kind of answer in one word, such as `refusal` or `confident_wrong`."""
    ratios: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Further metrics as (numerator, denominator). Reports show the ratio of their sums under the name, with an interval."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """The evidence for the verdict, for people. Plain JSON."""
    error: str = ""
    error_source: ErrorSource | None = None
    """Where the error came from. An ungradable answer is data, not an exception that ends a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderCard:
    """How far a grader can be trusted: the results of its own exam against human labels."""

    grader: str
    kind: GraderKind
    """`exact`: the verdict is true by definition. `rules` and `judge` must first prove that they agree with people."""
    validated_on: str = ""
    num_labels: int = 0
    accuracy: float = 0.0
    bar: float = 1.0
    """The lowest accuracy with which it may gate."""
    recall: float | None = None
    recall_bar: float | None = None
    consistency: float | None = None
    """Share of pairs on which a judge keeps its opinion when the two answers are swapped."""
    consistency_bar: float | None = None
    note: str = ""

    @property
    def may_gate(self) -> bool:
        """Whether its verdicts may decide a release. Otherwise they are only reported."""
        if self.kind == "exact":
            return True
        results = ((self.accuracy, self.bar), (self.recall, self.recall_bar), (self.consistency, self.consistency_bar))
        return self.num_labels > 0 and all(bar is None or (value is not None and value >= bar) for value, bar in results)


class Grader(Protocol):
    """Judges one answer. `grade` is a pure function of the case and the response; it may run in another thread."""

    @property
    def name(self) -> str:
        """Stored with every verdict."""
        ...

    @property
    def version(self) -> str:
        """Must change whenever a verdict may change."""
        ...

    @property
    def card(self) -> GraderCard:
        """How far the grader can be trusted."""
        ...

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """The verdict on an answer. It never raises for anything that a model may write."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamMetric:
    """One reported number with its 95 % confidence interval, over `n` independent units.

    `higher_is_better` is None for a number that is neither good nor bad.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    higher_is_better: bool | None = True

    @classmethod
    def from_interval(cls, name: str, interval: Interval, n: int, *, higher_is_better: bool | None = True) -> ExamMetric:
        """The metric with this estimate and interval."""
        return cls(name=name, value=interval.value, low=interval.low, high=interval.high, n=n, higher_is_better=higher_is_better)


@runtime_checkable
class SummarisingGrader(Protocol):
    """A grader whose exam has metrics that are not a ratio of sums, such as calibration."""

    def compute_metrics(self, samples: Sequence[GradedSample]) -> Sequence[ExamMetric]:
        """The further metrics of a run, from all its samples."""
        ...


@runtime_checkable
class ClosableGrader(Protocol):
    """A grader that holds something open between answers, such as a process."""

    def close(self) -> None:
        """Release it. Grading again opens it again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Cases, the sampling settings for their answers, and the grader."""

    name: str
    title: str
    cases: tuple[Case, ...]
    grader: Grader
    sampling: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.0, "max_tokens": 512})
    """Fields of `SamplingSettings` except the seed, which is derived for each sample."""
    samples_per_case: int = 1
    """Answers per case."""
    source: str = ""
    licence: str = ""
    description: str = ""
    corrections: tuple[tuple[str, str], ...] = ()
    """Questions with their right answers that the assistant has been given; it is told nothing else."""
    searched: tuple[QuestionSet, ...] = ()
    """What is searched. The search of documents takes such an exam (`LookupSubject`), and no model does."""

    def __post_init__(self) -> None:
        keys = [case.key for case in self.cases]
        if not keys:
            raise BadInput(f"The exam {self.name!r} has no cases.")
        if len(set(keys)) < len(keys):
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise BadInput(f"The exam {self.name!r} has two cases with the key {repeated!r}.", advice="Use each key once.")
        if invalid := next((key for key in keys if not 0 < len(key) <= MAX_KEY_CHARS or "\0" in key), None):
            raise BadInput(
                f"The exam {self.name!r} has the invalid case key {invalid[:80]!r}.",
                advice=f"Use 1 to {MAX_KEY_CHARS} characters other than NUL.",
            )
        if self.samples_per_case < 1:
            raise BadInput(f"The exam {self.name!r} must draw at least one sample per case.")
        if "seed" in self.sampling:
            raise BadInput(
                f"The exam {self.name!r} sets a seed.", advice="Remove it: the runner derives the seed of each sample."
            )

    def num_draws(self, case: Case) -> int:
        """How many answers a run draws for the case."""
        return case.num_samples or self.samples_per_case

    @property
    def num_samples(self) -> int:
        """How many answers a run draws in all."""
        return sum(self.num_draws(case) for case in self.cases)

    @property
    def hash(self) -> str:
        """SHA-256 of everything that decides a verdict: cases, sampling, draws, corrections, the grader and its version."""
        inputs = {
            "cases": [
                [case.key, case.messages, dict(case.data), case.options, case.part, case.cluster_key, self.num_draws(case)]
                for case in self.cases
            ],
            "sampling": dict(self.sampling),
            "grader": [self.grader.name, self.grader.version],
            **({"corrections": self.corrections} if self.corrections else {}),
            **({"searched": [[each.name, each.sha256] for each in self.searched]} if self.searched else {}),
        }
        # Not escaping other scripts: the hashes of recorded runs depend on these bytes.
        return hashlib.sha256(canonical_json(inputs, ensure_ascii=False)).hexdigest()

    def sample_seed(self, run_seed: int, case: Case, draw: int) -> int:
        """The seed of one sample. It is the same in every run with that seed, in whatever order the samples are drawn."""
        digest = hashlib.sha256(f"{run_seed}\n{case.key}\n{draw}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1
