"""Are claims cited where they stand, and are altered ones found? Claims of `made_claims`, beside five near passages."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.citations.choosing import as_passages
from benchmarks.citations.figures import Share
from benchmarks.citations.made_claims import MadeClaim, altered_claims, make_claims, right_sentences
from benchmarks.questions import QuestionSet
from yearling.checks import read_numbers
from yearling.inference import Embedder
from yearling.retrieval.citations.alignment import AlignedAnswer, AlignmentRule, align_claims
from yearling.retrieval.citations.claims import Claim
from yearling.retrieval.citations.source import SourcePassage, citable_sentences
from yearling.store import Span

NUM_PASSAGES = 5


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim with what was made of it, and without the right passage."""

    claim: MadeClaim
    aligned: AlignedAnswer
    without_passage: AlignedAnswer

    @property
    def is_marked(self) -> bool:
        """Whether anything of the claim is said not to be in the source."""
        return any(claim.missing for claim in self.aligned.claims)

    @property
    def is_found(self) -> bool:
        """Whether the very words that were altered are marked."""
        altered = self.claim.altered
        return altered is not None and any(
            words.span.start < altered.end and altered.start < words.span.end
            for claim in self.aligned.claims
            for words in claim.missing
        )

    @property
    def is_unsupported(self) -> bool:
        """Whether nothing is cited for the claim."""
        return not self.aligned.citations

    @property
    def is_right(self) -> bool:
        """Whether the sentence with the answer is cited."""
        return any(
            citation.document_id == f"passage-{self.claim.passage}" and citation.span in self.claim.right
            for citation in self.aligned.citations
        )


async def judge_claims(
    questions: QuestionSet,
    sources: QuestionSet,
    order_PP: NDArray[np.intp],
    embedder: Embedder | None,
    rule: AlignmentRule,
    *,
    per_kind: int,
    is_development: bool,
) -> list[Judged]:
    """Align claims made from `questions` to passages of `sources`, which may be in another language.

    `order_PP` are the neighbours of each passage, itself first. Half of the passages are for development.
    """
    made = make_claims(questions)
    claims = [*made, *altered_claims(made, questions)]
    groups: dict[tuple[str, str], list[MadeClaim]] = defaultdict(list)
    for claim in claims:
        if (claim.passage % 2 == 0) == is_development:
            groups[claim.form, claim.alteration].append(claim)
    source = random.Random(0)
    chosen = [claim for group in groups.values() for claim in source.sample(group, min(per_kind, len(group)))]
    if sources is not questions:
        # The questions of both languages have one order.
        others = [sources.questions[claim.question] for claim in chosen]
        chosen = [
            replace(claim, right=right_sentences(other, sources.passages[other.passage]))
            for claim, other in zip(chosen, others, strict=True)
        ]
    passages = as_passages(sources)
    judged = []
    if embedder is not None:
        await embedder.embed_texts([claim.text for claim in chosen])
    for claim in chosen:
        neighbours = [passages[place] for place in order_PP[claim.passage, : NUM_PASSAGES + 1]]
        own = [passages[claim.passage], *(passage for passage in neighbours if passage is not passages[claim.passage])]
        judged.append(
            Judged(
                claim,
                await align_one(claim.text, own[:NUM_PASSAGES], embedder, rule),
                await align_one(claim.text, own[1:], embedder, rule),
            )
        )
    return judged


async def align_one(
    text: str, passages: Sequence[SourcePassage], embedder: Embedder | None, rule: AlignmentRule
) -> AlignedAnswer:
    """Align a text as one claim, whatever sentences it has: a copied sentence may be cut differently by itself."""
    sentences = citable_sentences(passages)
    similarities = None
    if embedder is not None:
        claim_vectors = await embedder.embed_texts([text])
        similarities = claim_vectors @ (await embedder.embed_texts([each.text for each in sentences], input_type="passage")).T
    return align_claims(
        text,
        [Claim(Span(0, len(text)), text)],
        passages,
        sentences,
        read_numbers=lambda words: read_numbers(words, with_words=True),
        rule=rule,
        similarities=similarities,
    )


def claim_shares(judged: Sequence[Judged]) -> Mapping[str, Share]:
    """The figures of a set of claims, in the order in which they are shown."""
    true = [each for each in judged if not each.claim.alteration]
    cited = [each for each in true if not each.is_unsupported]
    shares = {
        "precision: the cited sentence is right": Share.of(each.is_right for each in cited),
        "recall: the right sentence is cited": Share.of(each.is_right for each in true),
        "true claims wrongly marked": Share.of(each.is_marked for each in true),
        "true claims with no citation": Share.of(each.is_unsupported for each in true),
        "nothing cited without the passage": Share.of(not each.without_passage.citations for each in true),
        "cited in full without the passage": Share.of(
            all(claim.status == "supported" for claim in each.without_passage.claims) for each in true
        ),
    }
    for alteration in ("number", "name", "negation"):
        altered = [each for each in judged if each.claim.alteration == alteration]
        shares[f"altered {alteration} found"] = Share.of(each.is_found for each in altered)
        shares[f"altered {alteration} found, or the claim not cited"] = Share.of(
            each.is_found or each.is_unsupported for each in altered
        )
    return shares
