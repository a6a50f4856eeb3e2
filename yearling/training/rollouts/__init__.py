"""Rollouts: sampled answers to tasks, their rewards, and the choice of tasks."""
