"""The addresses that lead to a proxy, which its policies and its upstream must not name."""

from __future__ import annotations

import pytest

from athens_operator.own_addresses import own_addresses, own_upstreams
from athens_policy.merge import MergeError
from athens_policy.outward import check_outward
from support.operator_values import MEMORY, proxy_value


def leads_back(url: str, **spec: object) -> bool:
    proxy = proxy_value({"storage": MEMORY, **spec})
    return any(address.covers(url) for address in own_addresses(proxy, "cluster.local"))


@pytest.mark.parametrize("host", ["go", "go.team-a", "go.team-a.svc", "go.team-a.svc.cluster.local"])
def test_every_name_of_the_service_is_known(host: str) -> None:
    assert leads_back(f"http://{host}")
    assert not leads_back(f"http://{host}:3000")
    assert leads_back(f"http://{host}:8080/sub", service={"name": "go", "port": 8080})


def test_a_renamed_service_has_its_own_name_only() -> None:
    assert leads_back("http://athens", service={"name": "athens"})
    assert not leads_back("http://go", service={"name": "athens"})


def test_a_path_prefix_divides_a_host() -> None:
    ingress = {"hosts": ["go.example.com", "*.go.example.com"]}

    assert leads_back("https://go.example.com/a", ingress=ingress, server={"pathPrefix": "/a"})
    assert not leads_back("https://go.example.com/b", ingress=ingress, server={"pathPrefix": "/a"})
    assert not leads_back("https://b.go.example.com/a", ingress=ingress, server={"pathPrefix": "/a"})


def test_the_hostnames_of_a_route_lead_to_the_proxy() -> None:
    assert leads_back(
        "https://go.example.com", httpRoute={"parentRefs": [{"name": "w"}], "hostnames": ["go.example.com"]}
    )


def test_an_upstream_that_is_the_proxy_itself_is_named_by_its_field() -> None:
    proxy = proxy_value({"storage": MEMORY, "upstream": {"goproxy": "http://go.team-a,direct"}})

    with pytest.raises(MergeError) as refused:
        check_outward(own_upstreams(proxy), own_addresses(proxy, "cluster.local"), ())

    assert str(refused.value).startswith("spec.upstream.goproxy http://go.team-a leads back to this proxy")
