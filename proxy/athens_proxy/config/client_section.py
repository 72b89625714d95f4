"""The setting of who may ask beside `BasicAuthUser`."""

from __future__ import annotations

from typing import Annotated

from athens_proxy.config.sections import Key, Section, Text


class ClientSection(Section):
    """What clients show to this proxy."""

    folder: Annotated[Text, Key("AuthClientsDir", "ATHENS_AUTH_CLIENTS_DIR")] = ""
