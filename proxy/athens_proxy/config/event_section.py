"""The settings of what is told about the store: the page for people, retractions, and whose events are followed."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from athens_proxy.config.sections import Key, Section, Text, choice
from athens_proxy.config.values import go_bool, go_int


def _address(value: str) -> str:
    if value and not re.match(r"https?://[^/?#]", value):
        raise PydanticCustomError("athens", "{message}", {"message": "must be an http:// or https:// address"})
    return value


class EventSection(Section):
    """Whom this proxy tells what happens, and whom it listens to."""

    page: Annotated[bool, Key("Page", "ATHENS_PAGE", go_bool)] = False
    follow: Annotated[Text, Key("Follow", "ATHENS_FOLLOW"), AfterValidator(_address)] = ""
    follow_action: Annotated[
        Text, Key("FollowAction", "ATHENS_FOLLOW_ACTION"), choice("drop", "prefetch", "both", lower=True)
    ] = "drop"
    retraction_check_s: Annotated[
        int, Key("RetractionCheckInterval", "ATHENS_RETRACTION_CHECK_INTERVAL", go_int), Field(ge=0, le=86_400 * 366)
    ] = 0
