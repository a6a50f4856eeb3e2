"""Releases over HTTP: which released model the server answers with, and who decides it."""
