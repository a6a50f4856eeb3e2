"""Tests of the ranking of sources."""
