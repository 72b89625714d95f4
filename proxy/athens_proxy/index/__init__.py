"""The feed of stored versions: which were stored since when."""
