"""HTTP words only: routes, handlers, responses."""
