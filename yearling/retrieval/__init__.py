"""Looking things up: documents, posts and the web, as passages that a person can open."""

from yearling.retrieval.index.document_index import DocumentIndex
from yearling.retrieval.index.search_result import Hit, SearchResult
from yearling.retrieval.passages.chunks import cut_chunks
from yearling.retrieval.passages.sentences import sentence_spans

__all__ = ["DocumentIndex", "Hit", "SearchResult", "cut_chunks", "sentence_spans"]
