"""A cluster on this machine for development and tests, from package registries alone."""
