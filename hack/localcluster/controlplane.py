"""etcd, kube-apiserver and kube-controller-manager: what every cluster needs, with or without a node."""

from __future__ import annotations

import json
import secrets
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcluster import binaries, packages
from localcluster.errors import ClusterError
from localcluster.pki import Pki
from localcluster.places import Places
from localcluster.processes import Daemons

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
_ADMIN = "admin"


@dataclass(frozen=True)
class User:
    """Someone the API server knows by a token."""

    name: str
    groups: tuple[str, ...] = ()


ADMINISTRATOR = User(_ADMIN, ("system:masters",))
CONTROLLER_MANAGER = User("system:kube-controller-manager")


@dataclass
class ControlPlaneFiles:
    """One control plane: its addresses and its files below one folder.

    Attributes:
        folder: Holds keys, tokens, kubeconfig files and etcd's data; nothing in it outlives the control plane.
        host: Address the API server listens on and tells others.
        api_port: Its port.
        etcd_port: etcd's client port, on loopback always.
        etcd_peer_port: etcd listens for peers although there are none.
        service_cidr: Where Service addresses come from.
        first_service_address: The address of the Service `kubernetes`.
        users: Who gets a token, apart from the administrator and the controller-manager.
    """

    folder: Path
    host: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    service_cidr: str = "10.92.0.0/16"
    first_service_address: str = "10.92.0.1"
    users: tuple[User, ...] = ()
    pki: Pki = field(init=False)

    def __post_init__(self) -> None:
        """Fix where the keys are."""
        self.pki = Pki(self.folder / "pki")

    @property
    def url(self) -> str:
        """Base address of the API."""
        return f"https://{self.host}:{self.api_port}"

    @property
    def tokens(self) -> Path:
        """token,user,uid,"groups" lines for --token-auth-file."""
        return self.folder / "tokens.csv"

    @property
    def etcd_url(self) -> str:
        """Where etcd answers."""
        return f"http://127.0.0.1:{self.etcd_port}"

    def kubeconfig(self, user: str = _ADMIN) -> Path:
        """The kubeconfig file of a user."""
        return self.folder / f"{user.replace(':', '-')}.kubeconfig"

    def create(self) -> None:
        """Make keys, one token and one kubeconfig file per user."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.pki.create([self.host, self.first_service_address, "127.0.0.1"])
        lines = []
        for user in (ADMINISTRATOR, CONTROLLER_MANAGER, *self.users):
            token = secrets.token_hex(16)
            lines.append(f'{token},{user.name},{user.name},"{",".join(user.groups)}"\n')
            write_kubeconfig(self.kubeconfig(user.name), self.url, self.pki.ca.read_text(), token)
        _write_private(self.tokens, "".join(lines))


def etcd_argv(files: ControlPlaneFiles) -> list[str | Path]:
    """The store, without fsync: its data never outlives an unclean stop, so it need not survive one."""
    peer = f"http://127.0.0.1:{files.etcd_peer_port}"
    return [
        packages.find("etcd") or "etcd",
        "--name=local",
        f"--data-dir={files.folder / 'etcd'}",
        f"--listen-client-urls={files.etcd_url}",
        f"--advertise-client-urls={files.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        "--unsafe-no-fsync",
    ]


def apiserver_argv(files: ControlPlaneFiles, binary: Path) -> list[str | Path]:
    """The API server with Node and RBAC authorization, as any cluster has it."""
    pki = files.pki
    return [
        binary,
        f"--etcd-servers={files.etcd_url}",
        f"--bind-address={files.host}",
        f"--advertise-address={files.host}",
        f"--secure-port={files.api_port}",
        f"--tls-cert-file={pki.certificate('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        f"--kubelet-client-certificate={pki.certificate('kubelet-client')}",
        f"--kubelet-client-key={pki.key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",  # else `logs` and `exec` look the node's name up in DNS
        f"--service-cluster-ip-range={files.service_cidr}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.service_accounts}",
        f"--service-account-signing-key-file={pki.service_accounts}",
        f"--token-auth-file={files.tokens}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        # a loopback address is no valid endpoint of the Service `kubernetes`
        *(["--endpoint-reconciler-type=none"] if files.host.startswith("127.") else []),
    ]


def controller_manager_argv(files: ControlPlaneFiles, binary: Path) -> list[str | Path]:
    """All default controllers, hence Deployments, garbage collection and namespaces work."""
    return [
        binary,
        f"--kubeconfig={files.kubeconfig(CONTROLLER_MANAGER.name)}",
        f"--service-account-private-key-file={files.pki.service_accounts}",
        f"--root-ca-file={files.pki.ca}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--secure-port=0",
    ]


def start(files: ControlPlaneFiles, daemons: Daemons, places: Places) -> None:
    """Start etcd and the API server; wait for them with `ready`."""
    daemons.start("etcd", etcd_argv(files))
    start_apiserver(files, daemons, places)


def start_apiserver(files: ControlPlaneFiles, daemons: Daemons, places: Places) -> None:
    """Start the API server alone."""
    daemons.start("kube-apiserver", apiserver_argv(files, binaries.ensure("kube-apiserver", places)))


def start_controller_manager(files: ControlPlaneFiles, daemons: Daemons, places: Places) -> None:
    """Start the controller-manager; it gives up if the API server is not ready."""
    binary = binaries.ensure("kube-controller-manager", places)
    daemons.start("kube-controller-manager", controller_manager_argv(files, binary))


def ready(files: ControlPlaneFiles, daemons: Daemons) -> bool:
    """Whether the API server answers.

    Raises:
        ClusterError: A process has died, so that waiting on is pointless.
    """
    daemons.require_alive("etcd", "kube-apiserver")
    return answers(files.url, files.pki.ca)


def answers(url: str, ca: Path) -> bool:
    """Whether an API server says that it is ready."""
    try:
        context = ssl.create_default_context(cafile=str(ca))
        with urllib.request.urlopen(f"{url}/readyz", timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def write_kubeconfig(path: Path, server: str, ca_pem: str, token: str) -> None:
    """Write a kubeconfig file with one cluster, one user and one context, all called athens-operator."""
    name = "athens-operator"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": b64encode(ca_pem.encode()).decode(),
                },
            }
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    _write_private(path, json.dumps(content, indent=2) + "\n")


def token_of(files: ControlPlaneFiles, user: str = _ADMIN) -> str:
    """The token of a user.

    Raises:
        ClusterError: There is no such user.
    """
    for line in files.tokens.read_text().splitlines():
        token, name, *_ = line.split(",")
        if name == user:
            return token
    raise ClusterError(f"the control plane in {files.folder} has no user {user!r}")


def log_tails(daemons: Daemons, names: Sequence[str]) -> str:
    """The ends of several logs, for an error message."""
    return "\n".join(daemons.tail(name) for name in names)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
