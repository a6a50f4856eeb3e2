"""Measurements of background jobs."""
