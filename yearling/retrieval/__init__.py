"""Looking things up: documents, posts and the web, as passages that a person can open."""

from yearling.retrieval.document_indexing import DocumentReader, IndexedDocument
from yearling.retrieval.index.document_index import DocumentIndex
from yearling.retrieval.index.search_result import Hit, SearchResult
from yearling.retrieval.parsing.document_parser import ParseLimits, parse_document

__all__ = ["DocumentIndex", "DocumentReader", "Hit", "IndexedDocument", "ParseLimits", "SearchResult", "parse_document"]
