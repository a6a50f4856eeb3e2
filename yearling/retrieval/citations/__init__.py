"""Citations: which sentences answer a question, which sentence supports which claim, and what of a claim stands in no source."""
