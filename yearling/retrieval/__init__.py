"""Looking things up: documents, posts and the web, as passages that a person can open."""

from yearling.retrieval.document_indexing import DocumentReader, IndexedDocument
from yearling.retrieval.index.document_index import DocumentIndex
from yearling.retrieval.index.search_result import Hit, SearchResult
from yearling.retrieval.parsing.document_parser import ParseLimits, parse_document
from yearling.retrieval.passages.chunks import cut_chunks
from yearling.retrieval.passages.sentences import sentence_spans

__all__ = [
    "DocumentIndex",
    "DocumentReader",
    "Hit",
    "IndexedDocument",
    "ParseLimits",
    "SearchResult",
    "cut_chunks",
    "parse_document",
    "sentence_spans",
]
