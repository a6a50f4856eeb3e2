"""Looking things up: documents, posts and the web, as passages that a person can open."""

from yearling.retrieval.parsing.document_parser import ParseLimits, parse_document

__all__ = ["ParseLimits", "parse_document"]
