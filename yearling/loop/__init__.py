"""The cycle, and what stations of it must be asked together."""

from yearling.loop.exam_comparison import compare_exam_runs

__all__ = ["compare_exam_runs"]
