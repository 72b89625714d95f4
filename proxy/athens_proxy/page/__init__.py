"""What the page for people tells: which modules are stored, from where, and what the policy says of them."""
