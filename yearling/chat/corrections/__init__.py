"""Corrections memory: what people corrected, found by meaning and shown to the model as an earlier turn."""
