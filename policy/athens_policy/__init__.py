"""The download-file language that operator, proxy and command line share: pure values and functions, no I/O.

model       modes, blocks, files, limits            patterns, versions, durations, semver   what rules are made of
parse       text -> file (scan, hcl underneath)     render      file or merge -> text
decide      file + request -> what happens          merge       policies -> one file (sources, conflicts underneath)
"""
