"""What is measured against a bar: one module per scenario, one report."""
