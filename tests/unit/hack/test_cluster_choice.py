"""Which cluster the commands use."""

from pathlib import Path

import pytest

from localcluster.choice import KIND, LOCAL, Choice, Named, Own, choose

OWN = Path("/state/kubeconfig")


def unasked() -> bool:
    raise AssertionError("Docker was asked although the choice was clear")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"KUBECONFIG": "/home/me/config"}, Named("/home/me/config", None)),
        ({"CLUSTER": "staging"}, Named(None, "staging")),
        ({"KUBECONFIG": "/home/me/config", "CLUSTER": "staging"}, Named("/home/me/config", "staging")),
        ({"KUBECONFIG": str(OWN), "CLUSTER": "staging"}, Named(None, "staging")),
    ],
)
@pytest.mark.parametrize("running", [None, KIND, LOCAL])
def test_a_named_cluster_is_used_whatever_else_there_is(
    environ: dict[str, str], expected: Named, running: Own | None
) -> None:
    assert choose(environ, OWN, running, unasked) == expected


@pytest.mark.parametrize("environ", [{}, {"KUBECONFIG": ""}, {"CLUSTER": ""}, {"KUBECONFIG": str(OWN)}])
@pytest.mark.parametrize("running", [KIND, LOCAL])
def test_what_was_brought_up_stays_in_use_also_through_its_own_kubeconfig(
    environ: dict[str, str], running: Own
) -> None:
    assert choose(environ, OWN, running, unasked) == running


@pytest.mark.parametrize(("possible", "expected"), [(True, KIND), (False, LOCAL)])
def test_kind_is_preferred_where_docker_can_run_it(possible: bool, expected: Choice) -> None:
    assert choose({}, OWN, None, lambda: possible) == expected
