"""Commands about releases: `yearling release ...`."""
