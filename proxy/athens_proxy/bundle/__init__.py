"""What crosses an air gap: module versions and checksum records as one file; reading and writing, no networking."""
