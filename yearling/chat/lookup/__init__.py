"""Looking things up for an answer: which sources a turn has, how the model sees them, and what of the answer they support."""
