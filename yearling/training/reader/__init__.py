"""Trains the reader of a model: an adapter that reads an answer from the turn before the question, and changes nothing else."""
