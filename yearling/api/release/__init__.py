"""Releases over HTTP: which released model the server answers with, who decides it, and canaries."""
