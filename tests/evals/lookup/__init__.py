"""Tests of the exams of search."""
