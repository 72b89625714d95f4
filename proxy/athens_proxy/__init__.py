"""The module proxy: Go module download protocol in front of a store, a drop-in superset of Athens."""
