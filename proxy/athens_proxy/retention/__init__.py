"""A store within bounds: what was used last, which zips go, and which versions were purged for good."""
