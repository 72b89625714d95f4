"""The settings that keep the store within bounds (`Retention`), and the list of what was purged (`PurgeFile`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from athens_policy.patterns import Pattern
from athens_proxy.config.sections import Key, List, Section, Text
from athens_proxy.config.values import comma_list, go_bool, go_int


def _patterns(texts: tuple[str, ...]) -> tuple[str, ...]:
    kept = tuple(text.strip() for text in texts if text.strip())
    for text in kept:
        if Pattern.of_file(text).malformed:
            problem = f'"{text}" is malformed; close its class or remove the ['
            raise PydanticCustomError("athens", "{message}", {"message": problem})
    return kept


class RetentionSection(Section):
    """What goes from the store by itself, and what must never come back."""

    max_bytes: Annotated[
        int, Key("Retention.MaxBytes", "ATHENS_RETENTION_MAX_BYTES", go_int), Field(ge=0, le=2**62)
    ] = 0
    max_idle_s: Annotated[
        int, Key("Retention.MaxIdle", "ATHENS_RETENTION_MAX_IDLE", go_int), Field(ge=0, le=86_400 * 36_500)
    ] = 0
    keep: Annotated[List, Key("Retention.Keep", "ATHENS_RETENTION_KEEP", comma_list), AfterValidator(_patterns)] = ()
    dry_run: Annotated[bool, Key("Retention.DryRun", "ATHENS_RETENTION_DRY_RUN", go_bool)] = False
    purge_file: Annotated[Text, Key("PurgeFile", "ATHENS_PURGE_FILE")] = ""
