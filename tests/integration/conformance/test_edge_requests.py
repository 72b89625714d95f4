"""Every rule of the edge table holds, and no rule is without a request or a test."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.edge_requests import ALL_NUMBERS, EDGES, TOLD_IN_TESTS, Edge
from support.module_tree import ModuleTree
from support.proxy_process import ModuleProxy
from support.sample_modules import Repositories

ZIP = "/example.com/foo/@v/v1.1.0.zip"
PARALLEL_COUNT = 100


def test_every_rule_of_the_edge_table_is_asked() -> None:
    assert {edge.number for edge in EDGES} | TOLD_IN_TESTS == ALL_NUMBERS


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_an_edge_request_gets_the_answer_of_its_rule(
    edge: Edge, site: Callable[[str], ModuleProxy], repositories: Repositories
) -> None:
    answer = site(edge.site).ask(filled_in(edge.target, repositories), method=edge.method, headers=edge.send)

    assert answer.status in edge.want.status, answer
    if edge.want.media:
        assert answer.media_type == edge.want.media
    if edge.want.body is not None:
        assert re.fullmatch(edge.want.body, answer.text), answer.text
    for name, pattern in edge.want.headers.items():
        assert re.fullmatch(pattern, answer.headers.get(name, "")), (name, answer.headers)
    assert "location" not in answer.headers
    if answer.status >= 400 and answer.media_type == "text/plain":
        assert answer.text.rstrip("\n").isprintable(), answer.text


def filled_in(target: str, repositories: Repositories) -> str:
    """The target with the commit hashes that exist in this run."""
    tip, tagless = repositories.head("widget"), repositories.head("tagless")
    return (
        target.format(tip=tip[:12], tip11=tip[:11], tip13=tip[:13], tagless=tagless[:12]) if "{" in target else target
    )


def test_a_current_etag_is_answered_without_a_body(site: Callable[[str], ModuleProxy]) -> None:
    """Rule 50."""
    for name in ("v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"):
        target = f"/example.com/m/@v/{name}"
        etag = site("tree").ask(target).headers["etag"]

        current = site("tree").ask(target, headers={"If-None-Match": etag})
        other = site("tree").ask(target, headers={"If-None-Match": '"other"'})

        assert (current.status, current.body, other.status) == (304, b"", 200)


def test_a_damaged_stored_zip_is_never_served_as_good(
    site: Callable[[str], ModuleProxy], module_tree: ModuleTree
) -> None:
    """Rule 44: the client gets the true bytes or an error, and afterwards the store heals."""
    proxy = site("tree")
    whole = module_tree.folder("example.com/foo").joinpath("v1.0.0.zip").read_bytes()
    assert proxy.ask("/example.com/foo/@v/v1.0.0.zip").body == whole
    stored = proxy.store / "example.com/foo/v1.0.0/source.zip"
    stored.write_bytes(whole[: len(whole) // 2])

    answers = [proxy.ask("/example.com/foo/@v/v1.0.0.zip") for _ in range(2)]

    assert [answer for answer in answers if answer.status == 200 and answer.body != whole] == []


def test_many_clients_that_want_one_new_zip_all_get_it(site: Callable[[str], ModuleProxy]) -> None:
    """Rule 54; that the upstream is read once is asserted with a counting upstream in test_shared_fetches."""
    proxy = site("cold")

    with ThreadPoolExecutor(PARALLEL_COUNT) as pool:
        answers = list(pool.map(lambda _: proxy.ask(ZIP), range(PARALLEL_COUNT)))

    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
