"""Graders of what search found and cited. Each verdict is true by definition: the answer stands there, or it does not.

They read the JSON of `LookupSubject`. Figures are those of `benchmarks/retrieval` and `benchmarks/citations`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yearling.evals.case import Case, ExamMetric, GraderCard, SubjectResponse, Verdict
from yearling.evals.graders.calibration import auroc
from yearling.evals.statistics import FloatArray, bootstrap_interval
from yearling.store import GradedSample

_RESAMPLES = 1000


def _exact(grader: str) -> GraderCard:
    return GraderCard(grader=grader, kind="exact", note="The answer is annotated, so the verdict is true by definition.")


class RankGrader:
    """Passes a question whose passage is found first."""

    name = "lookup_rank"
    version = "1"
    card = _exact("lookup_rank")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class; further metrics are recall at 5 and the mean reciprocal rank of the first ten."""
        found = json.loads(response.text)["found"]
        rank = found.index(case.data["passage"]) + 1 if case.data["passage"] in found else 0
        return Verdict(
            score=float(rank == 1),
            label=f"rank {rank}" if rank else "not found",
            ratios={
                "recall@1": (float(rank == 1), 1.0),
                "recall@5": (float(0 < rank <= 5), 1.0),
                "mrr@10": (1 / rank if rank else 0.0, 1.0),
            },
            detail={"rank": rank},
        )


class AbstentionGrader:
    """Scores how often "this is not in your documents" is right, with the passage and without it."""

    name = "lookup_abstention"
    version = "1"
    card = _exact("lookup_abstention")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """The share of right statements. Where the embedding model was not measured, nothing is stated, which is wrong."""
        found = json.loads(response.text)
        absent, present = found["absent"], found.get("present")
        abstains = absent["is_in_documents"] is False
        if present is None:
            return Verdict(
                score=float(abstains),
                label="abstains" if abstains else "answers",
                ratios={"abstains_on_unanswerable": (float(abstains), 1.0)},
                detail={"absent": absent["score"]},
            )
        answers = present["is_in_documents"] is True
        return Verdict(
            score=(abstains + answers) / 2,
            label="right" if abstains and answers else "always answers" if answers else "never answers" if abstains else "wrong",
            ratios={
                "answers_with_passage": (float(answers), 1.0),
                "abstains_without_passage": (float(abstains), 1.0),
            },
            detail={"present": present["score"], "absent": absent["score"]},
        )

    def compute_metrics(self, samples: Sequence[GradedSample]) -> Sequence[ExamMetric]:
        """The AUC of the score with the passage against without it, for all and by set; the interval resamples passages."""
        answerable = [sample for sample in samples if "present" in sample.verdict["detail"]]
        metrics = [_auc_metric("auc", answerable)] if answerable else []
        for part in dict.fromkeys(sample.part for sample in answerable):
            metrics.append(_auc_metric(f"auc {part}", [sample for sample in answerable if sample.part == part]))
        return metrics


class CitationGrader:
    """Passes a question if the answer stands in a cited sentence, a true claim if its sentence is cited, and an altered claim if
    the altered words are marked or nothing is cited.
    """

    name = "lookup_citation"
    version = "1"
    card = _exact("lookup_citation")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class. Precision counts the claims for which something is cited."""
        found = json.loads(response.text)
        return _grade_cited(case, found) if case.data["task"] == "cite" else _grade_claim(case, found)


class FreshnessGrader:
    """Passes if the new version's answer is cited, the old one is not, and the deleted document is not found."""

    name = "lookup_freshness"
    version = "1"
    card = _exact("lookup_freshness")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class. `cites_new` depends on how well sentences are chosen, the others must be 1."""
        found = json.loads(response.text)
        old, new = case.data["answers"], case.data["revised_answer"]
        cites_new = any(new in text for text in found["after"])
        drops_old = not any(answer in text for text in found["after"] for answer in old)
        forgets = case.data["passage"] not in found["removed"]["found"] and not any(
            answer in text for text in found["removed"]["texts"] for answer in (*old, new)
        )
        is_right = cites_new and drops_old and forgets
        return Verdict(
            score=float(is_right),
            label="right" if is_right else "stale" if not (drops_old and forgets) else "not cited",
            ratios={
                "cites_old_before": (float(any(answer in text for text in found["before"] for answer in old)), 1.0),
                "cites_new": (float(cites_new), 1.0),
                "drops_old": (float(drops_old), 1.0),
                "forgets_deleted": (float(forgets), 1.0),
            },
        )


def _grade_cited(case: Case, found: dict[str, Any]) -> Verdict:
    has_answer = [any(answer in text for answer in case.data["answers"]) for text in found["cited"]]
    first, either = bool(has_answer) and has_answer[0], any(has_answer)
    return Verdict(
        score=float(either),
        label="cited first" if first else "cited" if either else "not cited",
        ratios={"answer_in_first": (float(first), 1.0), "answer_in_either": (float(either), 1.0)},
    )


def _grade_claim(case: Case, found: dict[str, Any]) -> Verdict:
    is_cited, alteration = bool(found["cited"]), case.data["alteration"]
    if alteration:
        start, end = case.data["altered"]
        is_marked = any(begin < end and start < stop for begin, stop, _ in found["missing"])
        passes = is_marked or not is_cited
        return Verdict(
            score=float(passes),
            label="marked" if is_marked else "not cited" if not is_cited else "missed",
            ratios={
                f"altered_{alteration}_marked": (float(is_marked), 1.0),
                f"altered_{alteration}_marked_or_not_cited": (float(passes), 1.0),
            },
        )
    right = {(case.data["passage"], start, end) for start, end in case.data["right"]}
    is_right = any(tuple(place) in right for place in found["cited"])
    return Verdict(
        score=float(is_right),
        label="right" if is_right else "wrong" if is_cited else "not cited",
        ratios={
            "precision": (float(is_right), float(is_cited)),
            "recall": (float(is_right), 1.0),
            "true_left_unmarked": (float(not found["missing"]), 1.0),
        },
    )


@dataclass(frozen=True, slots=True)
class _Cluster:
    present: FloatArray
    absent: FloatArray


def _auc_metric(name: str, samples: Sequence[GradedSample]) -> ExamMetric:
    by_cluster: dict[str, tuple[list[float], list[float]]] = {}
    for sample in samples:
        present, absent = by_cluster.setdefault(sample.cluster, ([], []))
        present.append(float(sample.verdict["detail"]["present"]))
        absent.append(float(sample.verdict["detail"]["absent"]))
    clusters = [_Cluster(np.array(present), np.array(absent)) for present, absent in by_cluster.values()]

    def area(places: FloatArray) -> float:
        drawn = [clusters[int(place)] for place in places]
        scores = np.concatenate([*(each.present for each in drawn), *(each.absent for each in drawn)])
        is_present = np.arange(len(scores)) < len(scores) // 2
        return auroc(scores, is_present.astype(np.float64))

    interval = bootstrap_interval(area, np.arange(len(clusters), dtype=np.float64), resamples=_RESAMPLES)
    return ExamMetric.from_interval(name, interval, len(clusters))
