"""Authentication and authorization: callers, sessions, API keys, sign-in, and the gate in front of all routes."""
