"""The download-file language that operator, proxy and command line share: pure values and functions, no I/O."""
