"""Looking things up: documents, posts and the web, as passages that a person can open."""

from yearling.retrieval.citations.alignment import (
    AlignedAnswer,
    AlignedClaim,
    AlignmentRule,
    Citation,
    align_answer,
    align_claims,
    utf16_offsets,
)
from yearling.retrieval.citations.alignment_rules import alignment_rule
from yearling.retrieval.citations.annotations import chat_annotations, responses_annotations
from yearling.retrieval.citations.choice import RankedSentence, choose_sentences
from yearling.retrieval.citations.claims import is_claim
from yearling.retrieval.citations.extractive import append_sentence, quote_sentences, quote_texts
from yearling.retrieval.citations.facts import MissingWords
from yearling.retrieval.citations.source import SourcePassage
from yearling.retrieval.document_indexing import DocumentReader, IndexedDocument
from yearling.retrieval.found_sources import FoundSources, ReadPage, hit_passage
from yearling.retrieval.index.document_index import DocumentIndex
from yearling.retrieval.index.search_result import Hit, SearchResult
from yearling.retrieval.index.tokens import index_tokens
from yearling.retrieval.parsing.document_parser import ParseLimits, parse_document
from yearling.retrieval.passages.chunks import cut_chunks
from yearling.retrieval.passages.sentences import sentence_spans
from yearling.retrieval.web.opening import open_web_lookup
from yearling.retrieval.web.web_lookup import WebLookup

__all__ = [
    "AlignedAnswer",
    "AlignedClaim",
    "AlignmentRule",
    "Citation",
    "DocumentIndex",
    "DocumentReader",
    "FoundSources",
    "Hit",
    "IndexedDocument",
    "MissingWords",
    "ParseLimits",
    "RankedSentence",
    "ReadPage",
    "SearchResult",
    "SourcePassage",
    "WebLookup",
    "align_answer",
    "align_claims",
    "alignment_rule",
    "append_sentence",
    "chat_annotations",
    "choose_sentences",
    "cut_chunks",
    "hit_passage",
    "index_tokens",
    "is_claim",
    "open_web_lookup",
    "parse_document",
    "quote_sentences",
    "quote_texts",
    "responses_annotations",
    "sentence_spans",
    "utf16_offsets",
]
