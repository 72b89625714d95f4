#!/bin/sh
# The step that a change of policies has to pass before it is merged; needs no cluster.
set -eu
cd "$(dirname "$0")"
kubectl-athens policy lint cluster teams
kubectl-athens policy test tests/verdicts.yaml --file cluster --file teams --junit "${JUNIT:-/dev/null}"
