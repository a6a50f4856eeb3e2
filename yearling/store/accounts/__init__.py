"""People and how they prove who they are: passwords, sessions, API keys, identities, invitations."""
