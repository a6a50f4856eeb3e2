"""Measures which memories are shown for which questions."""
