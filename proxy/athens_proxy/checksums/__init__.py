"""Sums of module zips and the checksum database: computing, verifying, no networking."""
