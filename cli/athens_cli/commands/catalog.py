"""`kubectl athens catalog`: what a proxy has stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final
from urllib.parse import urlencode

import click

from athens_cli.cluster import Cluster
from athens_cli.commands.session import pass_cluster
from athens_cli.errors import ClusterUnavailable
from athens_cli.forwarding import forwarded
from athens_cli.login import PASSWORD_VARIABLE, Login, login_of
from athens_cli.output import console, emit_rows, output_option

_PAGE: Final = 1_000
Read = Callable[[str], str]


@click.command()
@click.argument("proxy")
@click.option("--limit", type=click.IntRange(1), help="Show at most so many; all if left out.")
@click.option(
    "--user",
    default="",
    help=f"Log in with this name and the password in {PASSWORD_VARIABLE}; with the Secret of spec.auth if left out.",
)
@output_option
@pass_cluster
def catalog(cluster: Cluster, proxy: str, limit: int | None, user: str, output: str) -> None:
    """The modules that PROXY has stored.

    A proxy that lets in everybody is asked through the API server. One with spec.auth is asked through a port-forward,
    with the login of the Secret that it names, if you may read it, or with that of --user.
    """
    body = cluster.proxy(proxy)
    login = login_of(cluster, body, user)  # may ask for a password, beside which nothing may move
    rows: list[dict[str, str]] = []
    with console(stderr=True).status("asking for the first page") as progress, _reader(cluster, body, login) as read:
        for module in _stored(read):
            rows.append(module)
            if len(rows) % _PAGE == 0:
                progress.update(f"{len(rows)} module versions")
            if len(rows) == limit:
                break
    emit_rows(rows, {"module": "MODULE", "version": "VERSION"}, output, empty="nothing is stored")


def _stored(read: Read) -> Iterator[dict[str, str]]:
    token = ""
    while True:
        page = json.loads(read("catalog?" + urlencode({"pagesize": _PAGE, **({"token": token} if token else {})})))
        yield from page["modules"]
        token = page.get("next", "")
        if not token:
            return


@contextmanager
def _reader(cluster: Cluster, body: Mapping[str, Any], login: Login | None) -> Iterator[Read]:
    """What reads paths of the proxy."""
    spec, metadata = body.get("spec") or {}, body["metadata"]
    namespace, described = metadata["namespace"], spec.get("service") or {}
    service = described.get("name") or metadata["name"]
    scheme = "https" if spec.get("tls") else "http"
    prefix = ((spec.get("server") or {}).get("pathPrefix") or "").rstrip("/")
    if login is None:
        base = f"/api/v1/namespaces/{namespace}/services/{scheme}:{service}:{scheme}/proxy{prefix}"
        yield lambda path: _read_raw(cluster, f"{base}/{path}")
        return
    port = described.get("port") or (443 if scheme == "https" else 80)
    arguments = ("port-forward", "--address=127.0.0.1", f"service/{service}", f":{port}")
    # HTTP takes a tenth of the start of a command; only this one needs it.
    from athens_cli.logged_in import LoggedIn

    with (
        forwarded(cluster.command(*arguments, namespace=namespace)) as local,
        closing(LoggedIn(login, scheme=scheme, port=local)) as asked,
    ):
        yield lambda path: asked.read(f"{prefix}/{path}")


def _read_raw(cluster: Cluster, path: str) -> str:
    try:
        return cluster.run("get", "--raw", path, namespace="")
    except ClusterUnavailable as error:
        if "Unauthorized" not in str(error):
            raise
        message = f"{error}; the proxy wants a login that spec.auth does not name: name one with --user"
        raise ClusterUnavailable(message) from error
