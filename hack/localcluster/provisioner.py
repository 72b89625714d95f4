"""Gives every claim of the class `local` a folder of this machine. Runs beside the kubelet, started by `up`."""

from __future__ import annotations

import json
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.request
from base64 import b64decode
from pathlib import Path
from typing import Any, Final

from localcluster import volumes

_CLAIMS: Final = "/api/v1/persistentvolumeclaims"
_VOLUMES: Final = "/api/v1/persistentvolumes"
_WATCH_S: Final = 300


class Api:
    """The few calls this process makes."""

    def __init__(self, kubeconfig: Path) -> None:
        """Read address, certificate and token from a kubeconfig file of ours."""
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._server: str = cluster["server"]
        self._token: str = config["users"][0]["user"]["token"]
        self._tls = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request with a JSON answer."""
        with self.open(method, path, body, timeout_s=30) as answer:
            return json.load(answer)

    def open(self, method: str, path: str, body: object = None, timeout_s: float = _WATCH_S + 30) -> Any:
        """One request with the open answer, for watches."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._server}{path}", data, headers, method=method)
        return urllib.request.urlopen(request, timeout=timeout_s, context=self._tls)


def provision(api: Api, claim: dict[str, Any], root: Path) -> None:
    """Create the folder and the volume a claim waits for."""
    folder = root / volumes.volume_name(claim)
    volumes.create_folder(folder)
    try:
        api.call("POST", _VOLUMES, volumes.volume_for(claim, folder))
    except urllib.error.HTTPError as error:
        if error.code != 409:  # already made
            raise


def remove_abandoned(api: Api, claim_uids: set[str], root: Path) -> None:
    """Delete volumes whose claim is gone, with their data."""
    for found in api.call("GET", _VOLUMES)["items"]:
        if volumes.is_abandoned(found, claim_uids):
            name = found["metadata"]["name"]
            api.call("DELETE", f"{_VOLUMES}/{name}")
            shutil.rmtree(root / name, ignore_errors=True)


def follow(api: Api, root: Path) -> None:
    """List once, then watch until the server ends the watch or a claim is deleted."""
    listed = api.call("GET", _CLAIMS)
    remove_abandoned(api, {claim["metadata"]["uid"] for claim in listed["items"]}, root)
    for claim in filter(volumes.is_waiting, listed["items"]):
        provision(api, claim, root)
    since = listed["metadata"]["resourceVersion"]
    with api.open("GET", f"{_CLAIMS}?watch=1&resourceVersion={since}&timeoutSeconds={_WATCH_S}") as events:
        for line in events:
            event = json.loads(line)
            if event["type"] in ("DELETED", "ERROR"):
                return
            if volumes.is_waiting(event["object"]):
                provision(api, event["object"], root)


def main(kubeconfig: Path, root: Path) -> None:
    """Provision for ever."""
    api = Api(kubeconfig)
    while True:
        try:
            follow(api, root)
        except (OSError, ValueError, KeyError) as error:  # the API server restarts, a watch breaks: begin anew
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            time.sleep(1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
