"""`kubectl athens`: explains, checks and tests download policies, and shows what a proxy does.

app, __main__   the commands and the one place that prints errors
commands        one module per group of commands: arguments in, a document out
objects         the custom resources of files or of a cluster, and the file that a proxy gets of them
explain, lint, compare, expectations, imports   what the commands answer, pure
cluster         the only module that talks to a cluster, through kubectl
output          tables, JSON and YAML
"""
