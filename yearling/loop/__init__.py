"""The learning cycle as resumable steps, and questions that need several rooms at once."""

from yearling.loop.exam_comparison import compare_exam_runs

__all__ = ["compare_exam_runs"]
