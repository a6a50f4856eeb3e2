"""The exams that ship with Yearling, and custom exams in YAML."""
