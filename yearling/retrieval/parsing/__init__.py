"""Documents to canonical texts: readers of many formats, in a child process that limits what a hostile document can cost."""

from yearling.retrieval.parsing.document_parser import ParseLimits, parse_document

__all__ = ["ParseLimits", "parse_document"]
