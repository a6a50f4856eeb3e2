"""Passages of a canonical text: the sentences that an answer cites, and the chunks that search looks through."""
