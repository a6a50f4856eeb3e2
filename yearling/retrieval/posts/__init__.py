"""Live posts: streams and feeds that the owner subscribes to, read into posts that search finds at once."""
