"""Lessons as packed token sequences, and the order in which steps learn from them."""
