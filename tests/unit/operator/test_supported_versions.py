"""A version of the proxy that does not know our settings is refused before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from athens_operator.status import status_of_invalid
from athens_operator.supported_versions import version_problem
from support.operator_values import proxy_value


@pytest.mark.parametrize("version", ["v0.0.9", "v0.0.1-rc.1"])
def test_a_version_before_the_first_release_is_refused_with_what_to_pin(version: str) -> None:
    proxy = proxy_value({"version": version})
    found = version_problem(proxy)
    assert found is not None
    status = status_of_invalid(proxy.identity, found, {}, datetime(2026, 1, 1, tzinfo=UTC))
    told = next(entry for entry in status["conditions"] if entry["type"] == "ConfigurationValid")

    assert (told["status"], told["reason"]) == ("False", "UnsupportedByVersion")
    assert told["message"].startswith("spec.version: this operator writes settings that proxies know since v0.1.0")


@pytest.mark.parametrize("spec", [{}, {"version": "v0.1.0"}, {"version": "v0.1.0-rc.1"}, {"version": "v2.0.0"}])
def test_a_version_that_can_be_configured_is_run(spec: dict[str, str]) -> None:
    assert version_problem(proxy_value(spec)) is None
