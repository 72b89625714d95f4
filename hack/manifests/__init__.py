"""What is derived from crds/ and the chart, and the checks that it is right."""
