"""Releases: canaries, gates, signatures, incidents."""
