"""The story of one request: policy, store, fetch."""
