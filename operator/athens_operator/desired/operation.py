"""What keeps a proxy going for years, in its configuration: bounds of the store, purges, traces, another's events."""

from __future__ import annotations

import json
from typing import Final

from athens_operator.desired import toml
from athens_operator.spec.fields import ProxySpec
from athens_operator.spec.references import HOME_PAGE, HOME_PAGE_FOLDER
from athens_operator.spec.values import bytes_of

PURGE_FILE: Final = "purge.json"
"""Beside the download file, in the ConfigMap that may change while pods run."""


def operation_keys(spec: ProxySpec) -> toml.Table:
    """The plain keys of what is asked for; a proxy that does not know them serves the rest."""
    return {
        **({"Processes": spec.processes} if spec.processes != 1 else {}),
        **({"Page": True} if spec.server.page else {}),
        **({"HomeTemplatePath": f"{HOME_PAGE_FOLDER}/{HOME_PAGE}"} if spec.server.home_page else {}),
        **_tracing(spec),
        **({"Follow": spec.follow.url, "FollowAction": spec.follow.action.value.lower()} if spec.follow else {}),
    }


def retention_table(spec: ProxySpec) -> toml.Table:
    """The table `Retention`; private modules always stay, since their origin may be gone."""
    wanted = spec.retention
    if wanted is None:
        return {}
    table: toml.Table = {
        **({"MaxBytes": bytes_of(wanted.max_bytes)} if wanted.max_bytes else {}),
        **({"MaxIdle": wanted.max_idle_s} if wanted.max_idle_s else {}),
        "Keep": list(dict.fromkeys((*wanted.keep, *spec.private_modules))),
        "DryRun": wanted.dry_run,
    }
    return {"Retention": table}


def purge_data(spec: ProxySpec) -> dict[str, str]:
    """The file of purged versions, for the mutable ConfigMap; nothing where nothing is purged."""
    if not spec.purge:
        return {}
    entries = [
        {"module": entry.module, "version": entry.version, **({"reason": entry.reason} if entry.reason else {})}
        for entry in spec.purge
    ]
    return {PURGE_FILE: json.dumps(entries, indent=1, ensure_ascii=False) + "\n"}


def _tracing(spec: ProxySpec) -> toml.Table:
    wanted = spec.tracing
    if wanted is None:
        return {}
    return {
        "TraceExporter": wanted.exporter,
        **({"TraceExporterURL": wanted.endpoint} if wanted.endpoint else {}),
        "TraceSamplingFraction": float(wanted.sampling_fraction),
    }
