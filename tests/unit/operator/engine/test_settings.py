"""The operator's variables: defaults, values, and messages for wrong ones."""

from __future__ import annotations

import pytest

from athens_operator.settings import Readback, SecretAccess, Settings, SettingsError


def test_an_empty_environment_serves_the_whole_cluster() -> None:
    settings = Settings.from_env({})

    assert settings.cluster_wide
    assert settings.namespace == "athens-operator"
    assert settings.secret_access is SecretAccess.GET
    assert settings.readback is Readback.ON
    assert settings.health_port == 8080


def test_a_list_of_namespaces_is_read_without_blanks_and_repetitions() -> None:
    settings = Settings.from_env({"ATHENS_OPERATOR_WATCH_NAMESPACES": "b, a,,b"})

    assert settings.watch_namespaces == ("a", "b")
    assert not settings.cluster_wide


def test_every_wrong_value_is_named_at_once_with_what_is_allowed() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(
            {
                "ATHENS_OPERATOR_HEALTH_PORT": "eighty",
                "ATHENS_OPERATOR_SECRET_ACCESS": "Maybe",
                "ATHENS_OPERATOR_LOG_LEVEL": "loud",
                "ATHENS_OPERATOR_WATCH_SILENCE": "0",
                "ATHENS_OPERATOR_COMPARE_EVERY": "5m",
            }
        )

    message = str(caught.value)
    assert "ATHENS_OPERATOR_WATCH_SILENCE='0': use whole seconds between 1 and 3600" in message
    assert "ATHENS_OPERATOR_COMPARE_EVERY='5m': use whole seconds between 1 and 3600" in message
    assert "ATHENS_OPERATOR_HEALTH_PORT='eighty': use a port between 0 and 65535" in message
    assert "ATHENS_OPERATOR_SECRET_ACCESS='Maybe': use one of Get, None" in message
    assert "ATHENS_OPERATOR_LOG_LEVEL='loud': use one of debug, info, warning, error" in message
