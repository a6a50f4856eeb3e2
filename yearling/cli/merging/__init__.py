"""Commands that merge installations."""
