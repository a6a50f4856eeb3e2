"""Yearling: an assistant that you own and that learns on the job."""

__version__ = "0.1.0"
