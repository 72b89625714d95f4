"""Where modules are kept: one contract (`storage.py`), one file per backend."""
