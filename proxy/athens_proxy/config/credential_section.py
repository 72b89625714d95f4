"""The settings of credentials for origins: `NETRCPath`, `HGRCPath`, `GithubToken`, `CredentialsFile`."""

from __future__ import annotations

from typing import Annotated

from athens_proxy.config.sections import Key, SecretText, Section, Text
from athens_proxy.config.values import Secret


class CredentialSection(Section):
    """What the go command and its version control tools show to origins."""

    netrc_path: Annotated[Text, Key("NETRCPath", "ATHENS_NETRC_PATH")] = ""
    hgrc_path: Annotated[Text, Key("HGRCPath", "ATHENS_HGRC_PATH")] = ""
    github_token: Annotated[SecretText, Key("GithubToken", "ATHENS_GITHUB_TOKEN")] = Secret("")
    credentials_file: Annotated[Text, Key("CredentialsFile", "ATHENS_CREDENTIALS_FILE")] = ""
