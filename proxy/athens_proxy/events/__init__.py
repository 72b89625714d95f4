"""What happens to the store, told to whoever follows: published here, kept a while, streamed, followed."""
