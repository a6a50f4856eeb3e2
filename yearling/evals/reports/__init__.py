"""HTML and Markdown reports of runs, comparisons and models."""
