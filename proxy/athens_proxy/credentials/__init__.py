"""Credentials for origins and upstream proxies: which belongs where, how git gets it, and whether it is still good."""
