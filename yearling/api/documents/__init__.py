"""`/v1/documents`: files that the assistant may look things up in."""
