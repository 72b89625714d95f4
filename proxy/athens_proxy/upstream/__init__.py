"""Where modules come from: the upstream chain, the go command, the checksum database."""
