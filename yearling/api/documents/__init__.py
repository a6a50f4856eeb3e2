"""`/v1/documents`: files that people here can search."""
