"""Which download file is enforced, and how a new one takes effect."""
