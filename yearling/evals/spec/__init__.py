"""The behaviour spec as an exam: checking its files, grading answers, triage."""
