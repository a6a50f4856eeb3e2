"""Export and import of one person's data."""
