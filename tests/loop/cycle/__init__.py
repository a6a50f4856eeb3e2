"""Tests of the cycle."""
