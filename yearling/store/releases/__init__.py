"""Records of releases: what key-holders sign, what canaries observed, incidents."""
