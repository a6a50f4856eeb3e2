"""Corrections over HTTP: questions with their right answers, for oneself and for the team."""
