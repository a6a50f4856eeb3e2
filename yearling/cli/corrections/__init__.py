"""Commands about corrections."""
