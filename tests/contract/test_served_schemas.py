"""What the operator asks of served schemas is what the shipped schema files hold, field by field."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from athens_operator.resources import CLUSTER_POLICIES, POLICIES, PROXIES, Resource
from athens_operator.schema_age import STATUS_FIELDS, SchemaTooOld, missing_fields, require_schemas
from support.crd_schema import nodes, schema
from support.fake_cluster import FakeCluster
from support.virtual_time import in_virtual_time

KINDS = (PROXIES, POLICIES, CLUSTER_POLICIES)


def without(kind: str, *path: str) -> dict[str, Any]:
    """The shipped schema of a kind as it was before a field came."""
    older = copy.deepcopy(schema(kind))
    parent = older
    for step in path[:-1]:
        parent = parent["properties"][step]
    del parent["properties"][path[-1]]
    return older


@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: resource.kind)
def test_every_field_of_a_status_is_known_to_be_written(resource: Resource) -> None:
    paths = {node.path.replace("[]", "").replace("{}", "") for node in nodes(schema(resource.kind, "status"))}
    bookkeeping = {path for path in paths if path.startswith("conditions.")}

    assert paths - bookkeeping - {""} == STATUS_FIELDS[resource]


@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: resource.kind)
def test_the_shipped_schema_is_new_enough_and_a_newer_one_is_as_well(resource: Resource) -> None:
    newer = copy.deepcopy(schema(resource.kind))
    newer["properties"]["spec"]["properties"]["later"] = {"type": "string"}

    assert missing_fields(resource, schema(resource.kind)) == ""
    assert missing_fields(resource, newer) == ""


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (PROXIES, ("spec", "privateModules")),
        (PROXIES, ("status", "policy", "programmed")),
        (POLICIES, ("spec", "shareWith", "namespaceSelector")),
        (CLUSTER_POLICIES, ("spec", "enforcement")),
    ],
)
def test_a_schema_that_lacks_a_field_is_too_old(resource: Resource, path: tuple[str, ...]) -> None:
    assert missing_fields(resource, without(resource.kind, *path)) == f"{resource.plural} lack {'.'.join(path)}"


def test_the_operator_ends_and_names_fields_and_command_when_the_schema_stays_too_old() -> None:
    cluster = FakeCluster()
    cluster.served_schemas = {
        "AthensProxy": without("AthensProxy", "spec", "privateModules"),
        "DownloadPolicy": schema("DownloadPolicy"),
    }

    with pytest.raises(SchemaTooOld) as refused:
        in_virtual_time(require_schemas(cluster, cluster_wide=False))

    said = str(refused.value)
    assert "athensproxies lack spec.privateModules" in said
    assert "kubectl apply -f deploy/install.yaml" in said
