"""Corrections as acts: their judgements in the log, and what the team decides about those that are proposed to it."""
