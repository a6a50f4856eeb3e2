"""The measured rules of alignment, by embedding model: `python -m benchmarks.citations --fit`.

A cosine means nothing without its model. With a model that was not measured, words alone decide.
"""

from __future__ import annotations

from collections.abc import Mapping

from yearling.inference import Embedder
from yearling.retrieval.citations.alignment import AlignmentRule

WORDS_RULE = AlignmentRule(min_words=0.4)
"""The rule without embeddings: claims in another language than the source align to nothing."""

_E5_SMALL = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

ALIGNMENT_RULES: Mapping[str, AlignmentRule] = {
    _E5_SMALL: AlignmentRule(
        model_hash=_E5_SMALL,
        min_words=0.4,
        min_similarity=0.885,
        min_similarity_han=0.935,
        min_similarity_across=0.85,
        similarity_weight=2.0,
    )
}


def alignment_rule(embedder: Embedder | None) -> AlignmentRule:
    """The rule measured with an embedding model; `WORDS_RULE`, which uses no model, for any other and for none."""
    return ALIGNMENT_RULES.get(embedder.model_hash, WORDS_RULE) if embedder is not None else WORDS_RULE
