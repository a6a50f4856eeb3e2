"""Losses and advantages: pure functions of tensors."""
