"""The index of documents: words and vectors of passages, and the search that fuses both."""
