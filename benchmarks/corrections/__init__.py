"""Measures what corrections achieve: read where they stand, without changing other answers."""
