"""Merging what several installations learnt: exports, contradictions, the proof, and the one moment at which a merge holds."""
