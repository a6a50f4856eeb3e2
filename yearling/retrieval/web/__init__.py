"""The web: search engines that the owner configures, and pages that are fetched for one answer."""
