"""Yearling: an assistant that you own and that learns from feedback."""

__version__ = "0.1.0"
