"""Looking things up: documents, posts and the web, as passages that a person can open."""
