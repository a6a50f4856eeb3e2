"""People, invitations, and the caller's own account over HTTP."""
