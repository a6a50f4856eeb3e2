"""Numbered schema changes, applied when the store is opened. A released migration is never edited."""
