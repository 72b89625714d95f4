"""The settings of stores behind a database or another service, `Storage.Mongo` and `Storage.External`, and of serving.

Names of database and collection count wherever they stand: Athens ignores them in the file. `Storage.Serve` is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator

from athens_proxy.config.sections import Key, SecretText, Section, Text
from athens_proxy.config.values import Secret, go_bool

DATABASE: Final = "athens"
COLLECTION: Final = "modules"


class RemoteSection(Section):
    """Where the service is, and whether this proxy is one."""

    mongo_url: Annotated[SecretText, Key("Storage.Mongo.URL", "ATHENS_MONGO_STORAGE_URL")] = Secret("")
    mongo_database: Annotated[
        Text,
        Key("Storage.Mongo.DefaultDBName", "ATHENS_MONGO_DEFAULT_DATABASE"),
        AfterValidator(lambda v: v or DATABASE),
    ] = DATABASE
    mongo_collection: Annotated[
        Text,
        Key("Storage.Mongo.DefaultCollectionName", "ATHENS_MONGO_DEFAULT_COLLECTION"),
        AfterValidator(lambda v: v or COLLECTION),
    ] = COLLECTION
    mongo_ca_file: Annotated[Text, Key("Storage.Mongo.CertPath", "ATHENS_MONGO_CERT_PATH")] = ""
    mongo_insecure: Annotated[bool, Key("Storage.Mongo.InsecureConn", "ATHENS_MONGO_INSECURE", go_bool)] = False
    external_url: Annotated[SecretText, Key("Storage.External.URL", "ATHENS_EXTERNAL_STORAGE_URL")] = Secret("")
    serve: Annotated[bool, Key("Storage.Serve", "ATHENS_STORAGE_SERVE", go_bool)] = False


def missing_addresses(storage_type: str, section: RemoteSection, name_of: Callable[[str], str]) -> list[str]:
    """What the chosen store needs and does not have, one line each.

    Args:
        storage_type: the value of `StorageType`.
        section: the settings.
        name_of: a key as the user would look for it, by its TOML path.
    """
    needed = {
        "mongo": ("Storage.Mongo.URL", section.mongo_url),
        "external": ("Storage.External.URL", section.external_url),
    }
    key, url = needed.get(storage_type, ("", Secret("unused")))
    return [] if url else [f"{name_of(key)}: must not be empty with StorageType {storage_type}"]
