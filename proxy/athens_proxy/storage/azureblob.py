"""Azure Blob Storage in Athens' layout.

Credentials: a managed identity if one is named; else the account key; else the default chain (client secret, federated
workload identity, the machine's managed identity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstore.store import AzureStore

from athens_proxy.errors import StorageError
from athens_proxy.storage.object_layout import VersionedFiles, root_of
from athens_proxy.storage.object_store import ObjectStorage
from athens_proxy.storage.obstore_client import RETRY, ObstoreClient, client_options
from athens_proxy.storage.sums import Sums

if TYPE_CHECKING:
    from obstore.store import AzureConfig


@dataclass(frozen=True, slots=True)
class AzureContainer:
    """Where a container is and how requests are signed.

    Attributes:
        name: of the container, which must exist.
        account: the storage account.
        account_key: never shown; "" for none.
        managed_identity: resource id of a managed identity, "" for none.
        endpoint: URL of the account on another cloud, "" for the public one.
        root_certificates: PEM certificates to trust besides the system's.
    """

    name: str
    account: str
    account_key: str = ""
    managed_identity: str = ""
    endpoint: str = ""
    root_certificates: bytes = b""

    def __repr__(self) -> str:
        return f"AzureContainer({self.account}/{self.name})"


def open_azure_storage(container: AzureContainer, *, prefix: str, sums: Sums) -> ObjectStorage:
    """A store in Athens' layout below an optional prefix; raises as `azure_client`."""
    return ObjectStorage(azure_client(container), VersionedFiles(root_of(prefix)), sums=sums)


def azure_client(container: AzureContainer) -> ObstoreClient:
    """The container; nothing is asked yet.

    Raises:
        StorageError: the settings cannot name a container.
    """
    config: AzureConfig = {"account_name": container.account}
    if container.managed_identity:
        config["credential_type"] = "managed_identity"
        config["msi_resource_id"] = container.managed_identity
    elif container.account_key:
        config["credential_type"] = "access_key"
        config["account_key"] = container.account_key
    if container.endpoint:
        config["endpoint"] = container.endpoint
    name = f"azureblob container {container.name}"
    try:
        store = AzureStore(
            container.name,
            config=config,
            client_options=client_options(
                allow_http=container.endpoint.startswith("http://"), root_certificates=container.root_certificates
            ),
            retry_config=RETRY,
        )
    except ValueError as error:
        raise StorageError(f"{name}: the settings do not fit: {error}") from error
    return ObstoreClient(store, name=name)
