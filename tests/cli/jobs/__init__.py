"""Tests of `yearling jobs` and `yearling cycle`."""
