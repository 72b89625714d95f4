"""The custom resources that decide about downloads, and the download file that a proxy gets of them.

The same functions as in the operator attach, merge and render, so that the bytes are those of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from athens_cli.errors import InputError
from athens_cli.located import STDIN, Document, documents, text_of
from athens_operator.advisories import place_of, rejected, with_rules
from athens_operator.attachment import Attachment, attached
from athens_operator.errors import SpecError
from athens_operator.own_addresses import own_addresses, own_upstreams
from athens_operator.policies import CLUSTER_DOWNLOAD_POLICY, Policy
from athens_operator.spec import AthensProxy
from athens_policy.merge import MergedPolicy, MergeError, merge
from athens_policy.outward import check_outward, outward

PROXY: Final = "AthensProxy"
POLICIES: Final = ("DownloadPolicy", CLUSTER_DOWNLOAD_POLICY)
DEFAULT_NAMESPACE: Final = "default"
CLUSTER_DOMAIN: Final = "cluster.local"  # the cluster's own is not asked for; it matters for loops alone
_SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Broken:
    """An object that cannot be read, with the problems of its fields."""

    document: Document
    error: SpecError


@dataclass(frozen=True)
class Objects:
    """Everything that was read.

    Args:
        proxies: with the document that each came from.
        policies: of both kinds, with their documents.
        namespaces: labels by name; the name's own label is always there.
        broken: what cannot be read.
        config_maps: their data by namespace and name; policies name those with advisories.
    """

    proxies: tuple[tuple[AthensProxy, Document], ...]
    policies: tuple[tuple[Policy, Document], ...]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    broken: tuple[Broken, ...] = ()
    config_maps: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def proxy(self, name: str, namespace: str = "") -> AthensProxy:
        """The proxy of a name, given as `name` or `namespace/name`.

        Raises:
            InputError: there is none, or the name alone does not say which.
        """
        wanted_namespace, _, wanted = name.rpartition("/")
        wanted_namespace = wanted_namespace or namespace
        found = [
            proxy
            for proxy, _ in self.proxies
            if proxy.name == wanted and (not wanted_namespace or proxy.namespace == wanted_namespace)
        ]
        if len(found) == 1:
            return found[0]
        known = ", ".join(sorted(f"{proxy.namespace}/{proxy.name}" for proxy, _ in self.proxies)) or "none at all"
        self._refuse_broken(wanted)
        what = "is named more than once; write namespace/name" if found else f"is not there; there is {known}"
        raise InputError(f"AthensProxy {name} {what}")

    @property
    def count(self) -> int:
        """How many policies and proxies there are, those that cannot be read included."""
        return len(self.proxies) + len(self.policies) + len(self.broken)

    def attachment(self, proxy: AthensProxy) -> Attachment:
        """The policies of a proxy."""
        labels = {"kubernetes.io/metadata.name": proxy.namespace, **self.namespaces.get(proxy.namespace, {})}
        return attached(proxy, [self.resolved(policy) for policy, _ in self.policies], labels)

    def resolved(self, policy: Policy) -> Policy:
        """The policy with the rules of its advisories; with a problem if they are not there or cannot be read."""
        if policy.content.advisories is None:
            return policy
        namespace, name = place_of(policy, policy.content.advisories)
        texts = self.config_maps.get((namespace, name))
        if texts is None:
            return rejected(policy, f"ConfigMap {namespace}/{name} is not there; add it or remove the reference")
        return with_rules(policy, texts, datetime.now(UTC))

    def merged(self, proxy: AthensProxy) -> MergedPolicy:
        """The download file of a proxy.

        Raises:
            InputError: the operator would keep its last good file, for the reason given.
        """
        attachment = self.attachment(proxy)
        if attachment.missing:
            found = attachment.missing[0]
            problem = f" ({found.problems[0]})" if found.problems else ""
            raise InputError(
                f"{PROXY} {proxy.namespace}/{proxy.name}: {found.label}: {found.reason}{problem}; "
                "add the file that has it, or correct it"
            )
        try:
            merged = merge(attachment.sources)
            addresses = (*own_upstreams(proxy), *outward(merged))
            check_outward(addresses, own_addresses(proxy, CLUSTER_DOMAIN), proxy.spec.private_modules)
            return merged
        except MergeError as error:
            raise InputError(f"{error.reason}: {error.message}") from error

    def _refuse_broken(self, name: str) -> None:
        for broken in self.broken:
            value = broken.document.value
            if value.get("kind") == PROXY and value["metadata"].get("name") == name:
                raise InputError(f"{broken.document.file}: {PROXY} {name}: {broken.error}")


def read_files(paths: Iterable[str], namespace: str = "") -> Objects:
    """The objects of files, of standard input (`-`), and of folders with everything below them.

    Args:
        paths: where to look.
        namespace: of objects that name none.

    Raises:
        InputError: a path cannot be read, or a file is not YAML.
    """
    return of_documents((document for path in paths for document in _read(path)), namespace or DEFAULT_NAMESPACE)


def of_documents(found: Iterable[Document], namespace: str = DEFAULT_NAMESPACE) -> Objects:
    """The objects among the documents; other kinds are passed over.

    Args:
        found: with objects of any kind.
        namespace: of those that name none.

    Raises:
        InputError: an object that matters has no name, or no map where one belongs.
    """
    proxies: list[tuple[AthensProxy, Document]] = []
    policies: list[tuple[Policy, Document]] = []
    namespaces: dict[str, Mapping[str, str]] = {}
    broken: list[Broken] = []
    config_maps: dict[tuple[str, str], Mapping[str, str]] = {}
    for document in (_with_namespace(document, namespace) for document in found):
        body = document.value
        kind = body.get("kind") if isinstance(body, dict) else None
        try:
            if kind == PROXY:
                proxies.append((AthensProxy.parse(body), document))
            elif kind in POLICIES:
                policies.append((Policy.parse(body), document))
            elif kind == "Namespace":
                namespaces[_name(document)] = _map(document, "metadata", "labels")
            elif kind == "ConfigMap":
                key = (_map(document, "metadata").get("namespace") or namespace, _name(document))
                config_maps[key] = {name: str(text) for name, text in _map(document, "data").items()}
        except SpecError as error:
            broken.append(Broken(document, error))
    return Objects(tuple(proxies), tuple(policies), namespaces, tuple(broken), config_maps)


def _read(named: str) -> Iterable[Document]:
    path = Path(named)
    if named != STDIN and not path.exists():
        raise InputError(f"{path} does not exist; name a YAML file or a folder of them")
    below = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES) if path.is_dir() else []
    below = [file for file in below if file.is_file() or not file.exists()]  # no folder of such a name, nor a pipe
    for file in map(str, below) if path.is_dir() else [named]:
        yield from documents(text_of(file), file)


def _with_namespace(document: Document, namespace: str) -> Document:
    """Our objects with a namespace, as kubectl would put them into one, and surely with a name."""
    body = document.value
    if not isinstance(body, dict) or body.get("kind") not in (PROXY, *POLICIES):
        return document
    metadata = {**_map(document, "metadata"), "name": _name(document)}
    metadata |= {field: _map(document, "metadata", field) for field in ("labels", "annotations")}
    if body["kind"] == CLUSTER_DOWNLOAD_POLICY:
        metadata.pop("namespace", None)
    else:
        metadata.setdefault("namespace", namespace)
    return replace(document, value={**body, "metadata": metadata, "spec": body.get("spec") or {}})


def _name(document: Document) -> str:
    name = _map(document, "metadata").get("name")
    if not isinstance(name, str) or not name:
        raise InputError(
            f"{document.file}:{document.line('metadata')}: {document.value['kind']} has no name; write metadata.name"
        )
    return name


def _map(document: Document, *path: str) -> dict[str, Any]:
    """What an object has under a path of fields, {} for nothing."""
    value = document.value
    for depth, field_name in enumerate(path, start=1):
        value = value.get(field_name) or {}
        if not isinstance(value, dict):
            place = ".".join(path[:depth])
            raise InputError(f"{document.file}:{document.line(place)}: {place} is no map; write fields with values")
    return dict(value)
