"""What stands between a model and its users: its files are verified before they are loaded, and a stop ends its answers."""
