"""Routes of the Models page: the catalogue, pulls, the default model, and endpoints."""
