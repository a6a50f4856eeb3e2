"""Measurements of training: speed beside TRL, and what preference and reinforcement learning teach."""
