"""Measures citations on public questions:

    python -m benchmarks.citations --data DATA --models FOLDER --cache FILE [--only PART] [--fit]

DATA has `cmrc2018` and `xquad`, FOLDER is a library of models with the embedding model. The parts are `given` (the right
passage is given: is the right sentence cited?), `found` (the passages come from a search over all of CMRC's) and `claims`
(true and altered claims, on the passages that no threshold was chosen on; with `--fit` on the others). Vectors are kept in
the cache file: embedding everything takes a quarter of an hour on two cores, the rest minutes.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np

from benchmarks.caching_embedder import CachingEmbedder
from benchmarks.citations.aligning import claim_shares, judge_claims
from benchmarks.citations.choosing import found_passage_shares, right_sentence_shares
from yearling.config import Settings
from yearling.evals.lookup.question_sets import QuestionSet, read_question_sets
from yearling.inference import Embedder, EnginePool
from yearling.models import ModelLibrary
from yearling.retrieval.citations.alignment_rules import WORDS_RULE, alignment_rule


async def run(arguments: argparse.Namespace) -> None:
    """Print each figure in a line."""
    pool = EnginePool(Settings(), ModelLibrary(arguments.models))
    embedder = CachingEmbedder(await pool.get_embedder(), arguments.cache)
    sets = read_question_sets(arguments.data)
    if arguments.only in (None, "given"):
        for questions in sets:
            for by, used in (("words", None), ("words and meaning", embedder)):
                for name, share in await right_sentence_shares(questions, used):
                    print(f"{questions.name:9} | {by:17} | {name:38} | {share}", flush=True)
    if arguments.only in (None, "found"):
        for num_passages in (1, 3, 5):
            is_first, has_answer, _ = await found_passage_shares(sets[0], embedder, num_passages=num_passages)
            print(
                f"CMRC, {num_passages} found | right passage first {is_first} | answer in the cited sentences {has_answer}",
                flush=True,
            )
    if arguments.only in (None, "claims"):
        for questions, sources in ((sets[0], sets[0]), (sets[1], sets[1]), (sets[2], sets[2]), (sets[1], sets[2])):
            await _print_claims(questions, sources, embedder, arguments)
    await embedder.close()
    await pool.close()


async def _print_claims(questions: QuestionSet, sources: QuestionSet, embedder: Embedder, arguments: argparse.Namespace) -> None:
    vectors_P = await embedder.embed_texts(sources.passages, input_type="passage")
    order_PP = np.argsort(-(vectors_P @ vectors_P.T), axis=1, kind="stable")
    rule = alignment_rule(embedder)
    if rule is WORDS_RULE:
        raise SystemExit("There is no rule of alignment for this embedding model.")
    judged = await judge_claims(
        questions, sources, order_PP, embedder, rule, per_kind=arguments.per_kind, is_development=arguments.fit
    )
    label = questions.name if questions is sources else f"{questions.name} beside {sources.name}"
    forms = {form: [each for each in judged if each.claim.form == form] for form in ("copied", "restated", "asked")}
    for form, some in forms.items():
        for name, share in claim_shares(some).items():
            if share.total:
                print(f"{label} | {form:8} | {name:44} | {share}", flush=True)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with cmrc2018 and xquad")
    parser.add_argument("--models", type=Path, required=True, help="library of models with the embedding model")
    parser.add_argument("--cache", type=Path, required=True, help="file for vectors, so that a second run embeds nothing")
    parser.add_argument("--only", choices=["given", "found", "claims"], help="one part alone")
    parser.add_argument("--per-kind", type=int, default=200, help="claims of each form and alteration")
    parser.add_argument("--fit", action="store_true", help="measure claims of the passages that thresholds are chosen on")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
