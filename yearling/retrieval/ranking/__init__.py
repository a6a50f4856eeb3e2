"""Ranking of sources: near-duplicates, independent origins, quality, primary sources, noise."""
