"""What `athens-proxy` does besides serving; each command prints one JSON document and has its own exit statuses."""
