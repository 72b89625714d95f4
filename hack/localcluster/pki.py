"""The few keys and certificates of one short-lived cluster, made with openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster import packages
from localcluster.errors import ClusterError

_DAYS = "365"


@dataclass(frozen=True)
class Pki:
    """The files below one folder; `create` makes them."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Certificate of the authority that signs the others."""
        return self.folder / "ca.crt"

    @property
    def service_accounts(self) -> Path:
        """Private key that signs service account tokens."""
        return self.folder / "service-accounts.key"

    def certificate(self, name: str) -> Path:
        """Certificate of `apiserver` or `kubelet-client`."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Private key of the same."""
        return self.folder / f"{name}.key"

    def create(self, server_addresses: Sequence[str]) -> None:
        """Make all files anew.

        Args:
            server_addresses: IP addresses under which the API server is reached.

        Raises:
            ClusterError: openssl is missing or refused.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        ca = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        self._openssl("req", "-x509", "-days", _DAYS, "-subj", "/CN=athens-operator", *ca, *self._new_key("ca"))
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        alternatives = ",".join([*(f"IP:{a}" for a in server_addresses), *(f"DNS:{name}" for name in names)])
        self._sign("apiserver", "/CN=kube-apiserver", "serverAuth", f"subjectAltName={alternatives}")
        self._sign("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", "clientAuth")
        self._openssl("genrsa", "-out", str(self.service_accounts), "2048")

    def _new_key(self, name: str) -> list[str]:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*curve, "-keyout", str(self.key(name)), "-out", str(self.certificate(name))]

    def _sign(self, name: str, subject: str, usage: str, *extensions: str) -> None:
        # strict clients (Python 3.13 and later) ask for every one of these extensions
        wanted = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            f"extendedKeyUsage={usage}",
        ]
        request = self.folder / f"{name}.csr"
        self._openssl("req", "-new", "-subj", subject, *self._new_key(name)[:-1], str(request))
        settings = self.folder / f"{name}.ext"
        identifiers = ["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"]
        settings.write_text("\n".join([*wanted, *identifiers, *extensions]) + "\n")
        authority = ["-CA", str(self.ca), "-CAkey", str(self.key("ca")), "-CAcreateserial"]
        result = ["-extfile", str(settings), "-out", str(self.certificate(name))]
        self._openssl("x509", "-req", "-days", _DAYS, "-in", str(request), *authority, *result)

    def _openssl(self, *arguments: str) -> None:
        program = packages.find("openssl") or "openssl"
        ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise ClusterError(f"`openssl {' '.join(arguments[:2])}` failed: {ran.stderr.strip()}")
