"""The exams of search, taken by the real index with an embedder that compares words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.sample_exams import make_exam, wrong_on
from yearling.config import Settings
from yearling.errors import BadInput
from yearling.evals import Case, EngineSubject, Exam, ExamDataFolders, LookupSubject, SubjectResponse, regrade_run, run_exam
from yearling.evals.lookup.exams import build_abstention, build_citations, build_freshness, build_retrieval
from yearling.evals.lookup.graders import AbstentionGrader, CitationGrader, FreshnessGrader, RankGrader
from yearling.inference import FakeEmbedder
from yearling.store import ExamRun, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def folders(tmp_path: Path) -> ExamDataFolders:
    return ExamDataFolders(tmp_path / "exams")


async def take(exam: Exam, store: Store, every: int) -> ExamRun:
    subject = LookupSubject(exam.searched, FakeEmbedder())
    try:
        return await run_exam(replace(exam, cases=exam.cases[::every]), subject, store)
    finally:
        await subject.close()


def measures(run: ExamRun) -> dict[str, float]:
    return {measure["name"]: measure["value"] for measure in run.summary["measures"]}


@pytest.mark.slow
async def test_retrieval_finds_the_passages(store: Store, folders: ExamDataFolders) -> None:
    run = await take(build_retrieval(folders), store, every=8)
    found = measures(run)
    assert found["recall@5"] >= found["recall@1"] > 0.6
    assert found["recall@1"] <= found["mrr@10"] <= 1
    assert set(run.summary["parts"]) == {"own en, find", "own zh, find"}
    assert run.settings["licence"] == "Apache-2.0"
    assert "SHA-256" in run.settings["description"]
    assert regrade_run(replace(build_retrieval(folders), cases=build_retrieval(folders).cases[::8]), store, run.id).changed == ()


@pytest.mark.slow
async def test_abstention_scores_fall_without_the_passage(store: Store, folders: ExamDataFolders) -> None:
    exam = build_abstention(folders)
    run = await take(exam, store, every=8)
    found = measures(run)
    assert found["auc"] > 0.8
    assert found["auc own zh, abstain"] > 0.8
    assert found["answers_with_passage"] == 0  # nothing is stated with an embedding model that was not measured
    assert sum(1 for case in exam.cases if "passage" not in case.data) >= 20


@pytest.mark.slow
async def test_citations_are_right_for_true_claims_and_altered_ones_are_marked(store: Store, folders: ExamDataFolders) -> None:
    exam = build_citations(folders)
    run = await take(exam, store, every=10)
    found = measures(run)
    assert found["answer_in_either"] >= found["answer_in_first"] > 0.5
    assert found["precision"] > 0.9
    assert found["altered_number_marked_or_not_cited"] == 1  # words alone cite less than words and meaning
    kinds = {case.data.get("alteration") for case in exam.cases}
    assert kinds >= {"", "number", "name", "negation", None}


@pytest.mark.slow
async def test_freshness_cites_the_new_version_and_forgets_the_deleted(store: Store, folders: ExamDataFolders) -> None:
    exam = build_freshness(folders)
    run = await take(exam, store, every=4)
    found = measures(run)
    assert found["drops_old"] == found["forgets_deleted"] == 1
    assert found["cites_new"] > 0.5
    before = [json.loads(sample.output_text)["before"] for sample in store.exams.list_samples(run.id)]
    assert all(before)


async def test_a_model_cannot_take_an_exam_of_search(store: Store, folders: ExamDataFolders) -> None:
    with pytest.raises(BadInput, match="tests the search of documents"):
        await run_exam(build_retrieval(folders), EngineSubject(wrong_on()), store)
    with pytest.raises(BadInput, match="tests a model"):
        await run_exam(make_exam(1), LookupSubject((), FakeEmbedder()), store)


def test_the_hash_of_an_exam_depends_on_the_passages(folders: ExamDataFolders) -> None:
    exam = build_retrieval(folders)
    other = replace(exam, searched=tuple(replace(each, sha256="0" * 64) for each in exam.searched))
    assert exam.hash != other.hash


@pytest.mark.parametrize(("found", "score", "mrr"), [([3, 1], 1.0, 1.0), ([1, 3], 0.0, 0.5), ([1, 2], 0.0, 0.0), ([], 0.0, 0.0)])
def test_ranks(found: list[int], score: float, mrr: float) -> None:
    verdict = RankGrader().grade(case(passage=3), answer(found=found))
    assert (verdict.score, verdict.ratios["mrr@10"][0]) == (score, mrr)


@pytest.mark.parametrize(
    ("present", "absent", "score"),
    [(True, False, 1.0), (True, True, 0.5), (False, False, 0.5), (False, True, 0.0), (None, None, 0)],
)
def test_abstention(present: bool | None, absent: bool | None, score: float) -> None:
    response = answer(present={"score": 2, "is_in_documents": present}, absent={"score": 1, "is_in_documents": absent})
    assert AbstentionGrader().grade(case(passage=0), response).score == score


def test_unanswerable_questions_pass_only_without_an_answer() -> None:
    for said, score in ((False, 1.0), (True, 0.0), (None, 0.0)):
        assert AbstentionGrader().grade(case(), answer(absent={"score": 1, "is_in_documents": said})).score == score


@pytest.mark.parametrize(
    ("cited", "label"), [(["a b", "c"], "cited first"), (["c", "b"], "cited"), (["c"], "not cited"), ([], "not cited")]
)
def test_cited_answers(cited: list[str], label: str) -> None:
    assert CitationGrader().grade(case(task="cite", answers=["b"]), answer(cited=cited)).label == label


def test_true_claims_need_the_right_sentence_of_the_right_passage() -> None:
    asked = case(task="align", passage=2, right=[[0, 9]], alteration="", altered=None)
    for cited, label in (([[2, 0, 9]], "right"), ([[1, 0, 9]], "wrong"), ([[2, 9, 12]], "wrong"), ([], "not cited")):
        verdict = CitationGrader().grade(asked, answer(cited=cited, missing=[]))
        assert verdict.label == label
        assert verdict.ratios["precision"] == (float(label == "right"), float(bool(cited)))


def test_altered_claims_need_their_altered_words_marked() -> None:
    asked = case(task="align", passage=2, right=[[0, 9]], alteration="number", altered=[4, 6])
    for missing, label in (([[4, 6, "number"]], "marked"), ([[0, 4, "name"]], "missed"), ([], "missed")):
        assert CitationGrader().grade(asked, answer(cited=[[2, 0, 9]], missing=missing)).label == label
    assert CitationGrader().grade(asked, answer(cited=[], missing=[])).score == 1


@pytest.mark.parametrize(
    ("after", "numbers", "texts", "label"),
    [
        (["it is new"], [1], ["other"], "right"),
        (["it is old"], [1], ["other"], "stale"),
        (["it is new", "it is old"], [1], ["other"], "stale"),
        (["it is new"], [0], ["other"], "stale"),
        (["it is new"], [1], ["it is new"], "stale"),
        (["nothing"], [1], ["other"], "not cited"),
    ],
)
def test_freshness(after: list[str], numbers: list[int], texts: list[str], label: str) -> None:
    asked = case(passage=0, answers=["old"], revised_answer="new")
    response = answer(before=["it is old"], after=after, removed={"found": numbers, "texts": texts})
    assert FreshnessGrader().grade(asked, response).label == label


def case(**data: Any) -> Case:
    return Case(key="case", messages=({"role": "user", "content": "?"},), data=data)


def answer(**found: Any) -> SubjectResponse:
    return SubjectResponse(text=json.dumps(found))
