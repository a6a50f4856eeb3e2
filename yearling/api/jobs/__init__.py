"""Jobs over HTTP, and the workers that the server starts for them."""
