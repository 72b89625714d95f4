"""What `make demo` does: from nothing to a module served on a real cluster, in nine timed steps."""
