"""The policy under training: forward and backward passes, log-probabilities, optimiser and sharding."""
