"""The command line, the front door."""
