"""Documents at rest: their canonical texts, where each part of a text stood, and what search needs."""
