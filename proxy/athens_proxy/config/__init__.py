"""The proxy's settings: Athens' keys, names and precedence, read once and frozen.

- `sections.py` the table: one field per key, with its TOML path, environment name, type, default and check
- `object_section.py` the same for stores in buckets
- `remote_section.py` the same for stores behind a database or another service, and for serving the own one
- `credential_section.py` the same for credentials of the go command
- `reserved.py` keys that are known but whose part of the proxy is not in this build
- `values.py`   Go's notation of integers, booleans, lists and listen addresses
- `sources.py`  file and environment to raw values, with where each came from
- `load.py`     `load()` puts it together; every problem is reported at once
- `effective.py` what is in force, for `/-/config`
- `meanings.py` what each key means, for `docs/configuration.md`
"""
