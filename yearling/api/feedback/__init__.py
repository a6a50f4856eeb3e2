"""Judgements, notes and the consensus over HTTP."""
