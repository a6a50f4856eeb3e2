"""Comparison of exam runs for `api/`, which may not import `evals`. The cycle itself is planned."""

from yearling.loop.exam_comparison import compare_exam_runs

__all__ = ["compare_exam_runs"]
