"""Posts of live sources at rest, with the words that search finds them by."""
