"""Graders that several exams share, and their validation against people."""
