"""Looking things up over HTTP: what an answer was looked up in, and what it cites."""
