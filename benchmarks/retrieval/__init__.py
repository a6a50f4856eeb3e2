"""Measures search in documents: `python -m benchmarks.retrieval --data DATA`."""
