"""Measurements of ourselves, run from the source checkout by `yearling bench ...`. No installation holds them."""
