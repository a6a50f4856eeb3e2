"""Targets of `tests/fuzz.py`: the parsers of what users, files, endpoints and models supply."""
