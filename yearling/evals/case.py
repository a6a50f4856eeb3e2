"""What an exam is made of: cases, a grader, verdicts, and the record of each sample. Data and protocols only.

A case knows neither models nor storage. The runner (`runner.py`) asks a subject (`subject.py`) and stores `ExamSample`s; what
they add up to is `summary.py`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from yearling.canonical import canonical_json
from yearling.errors import BadInput
from yearling.records import FinishReason

GraderKind = Literal["exact", "rules", "judge"]
ErrorSource = Literal["engine", "grader"]

MAX_KEY_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question. `messages` are in OpenAI's form and end with the turn to be answered."""

    key: str
    """Unique within the exam, and stable over its versions: samples of two models are paired by it."""
    messages: tuple[dict[str, Any], ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the grader needs (reference answers, instructions to check); plain JSON, never shown to the model."""
    options: tuple[str, ...] = ()
    """Where given, nothing is generated: the log-probability of each option as the answer is asked for."""
    part: str = ""
    """The part of the exam that it is counted under (a category, a clause)."""
    cluster: str = ""
    """Cases of one cluster stand or fall together (twins, paraphrases); intervals resample clusters. Empty: its own."""
    num_samples: int = 0
    """How many answers to draw; 0 is what the exam says."""

    @property
    def cluster_key(self) -> str:
        """What intervals resample."""
        return self.cluster or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectResponse:
    """What a subject answered."""

    text: str
    finish_reason: FinishReason = "stop"
    option_logprobs: tuple[float, ...] = ()
    """Sum over the tokens of each option, in nats; for cases with options only."""
    option_tokens: tuple[int, ...] = ()
    prompt_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    messages: tuple[dict[str, Any], ...] = ()
    """What the model was shown: the case's messages and those that the assistant adds."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    """Why there is no answer. The sample then counts as a failure, and says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a grader finds. `score` lies between 0 and 1, or where a case's table of worth says (the spec: −2 to 1)."""

    score: float
    label: str = ""
    """What kind of answer it is, in one word (`refusal`, `confident_wrong`)."""
    ratios: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Further measures as (numerator, denominator): their ratio of sums is reported under the name, with an interval."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What the verdict rests on, for people; plain JSON."""
    error: str = ""
    error_source: ErrorSource | None = None
    """Where an error came from. An ungradable answer is data, not an exception that ends a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderCard:
    """How far a grader can be trusted: its own exam against human labels."""

    grader: str
    kind: GraderKind
    """`exact`: the verdict is true by definition. `rules` and `judge` must have been compared with people."""
    validated_on: str = ""
    num_labels: int = 0
    accuracy: float = 0.0
    bar: float = 1.0
    """Least accuracy with which it may gate."""
    recall: float | None = None
    recall_bar: float | None = None
    consistency: float | None = None
    """Share of pairs on which a judge keeps its opinion when the order is swapped."""
    consistency_bar: float | None = None
    note: str = ""

    @property
    def may_gate(self) -> bool:
        """Whether its verdicts may stop a release; otherwise they are reported only."""
        if self.kind == "exact":
            return True
        pairs = ((self.accuracy, self.bar), (self.recall, self.recall_bar), (self.consistency, self.consistency_bar))
        return self.num_labels > 0 and all(bar is None or (found is not None and found >= bar) for found, bar in pairs)


class Grader(Protocol):
    """Judges one answer: a pure function of the case and the response."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Raised whenever a verdict may change."""
        ...

    @property
    def card(self) -> GraderCard: ...

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """Never raises for what a model may write."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamMetric:
    """One reported figure with its 95 % interval. `higher_is_better` None: a fact, neither good nor bad."""

    name: str
    value: float
    low: float
    high: float
    n: int
    higher_is_better: bool | None = True


@runtime_checkable
class SummarisingGrader(Protocol):
    """A grader whose exam has figures that are no mean of parts (calibration)."""

    def compute_metrics(self, samples: Sequence[ExamSample]) -> Sequence[ExamMetric]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Cases, how they are put, and who grades them."""

    name: str
    title: str
    cases: tuple[Case, ...]
    grader: Grader
    sampling: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.0, "max_tokens": 512})
    """Fields of `SamplingSettings`. The seed of each sample is derived and not set here."""
    samples_per_case: int = 1
    """Answers per case."""
    source: str = ""
    licence: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        keys = [case.key for case in self.cases]
        if not keys:
            raise BadInput(f"The exam {self.name!r} has no cases.")
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise BadInput(f"The exam {self.name!r} has two cases with the key {twice!r}.", advice="Give each its own.")
        if long := next((key for key in keys if not 0 < len(key) <= MAX_KEY_CHARS or "\0" in key), None):
            raise BadInput(
                f"The exam {self.name!r} has the case key {long[:80]!r}.", advice=f"Use 1 to {MAX_KEY_CHARS} characters."
            )
        if self.samples_per_case < 1 or "seed" in self.sampling:
            raise BadInput(f"The exam {self.name!r} must draw at least one sample and leaves seeds to the runner.")

    def num_draws(self, case: Case) -> int:
        """How many answers are drawn for the case."""
        return case.num_samples or self.samples_per_case

    @property
    def num_samples(self) -> int:
        return sum(self.num_draws(case) for case in self.cases)

    @property
    def hash(self) -> str:
        """SHA-256 of everything that decides a verdict: cases, sampling, draws, the grader and its version."""
        described = {
            "cases": [
                [case.key, case.messages, dict(case.data), case.options, case.part, case.cluster_key, self.num_draws(case)]
                for case in self.cases
            ],
            "sampling": dict(self.sampling),
            "grader": [self.grader.name, self.grader.version],
        }
        return hashlib.sha256(canonical_json(described, ensure_ascii=False)).hexdigest()

    def sample_seed(self, run_seed: int, case: Case, draw: int) -> int:
        """The seed of one sample: the same in every run with that seed, whatever the order and whatever was cut off."""
        digest = hashlib.sha256(f"{run_seed}\n{case.key}\n{draw}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSample:
    """One answer and its verdict, with everything needed to draw and to grade it again."""

    case_key: str
    draw: int
    cluster: str
    part: str
    messages: tuple[dict[str, Any], ...]
    prompt_ids: tuple[int, ...]
    output_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    output_text: str
    finish_reason: FinishReason
    sampling: Mapping[str, Any]
    seed: int
    model: str
    model_hash: str
    grader: str
    """Name and version, joined by `@`."""
    verdict: Verdict
    prompt_tokens: int
    completion_tokens: int
    duration_s: float
    created_utc: datetime
