"""Settings: names, precedence, Go's notation, and every way to get them wrong."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from athens_proxy.config.load import ConfigError, ConfigFile, UsageError, arguments, load
from athens_proxy.config.sections import DEFAULT_GO_ENV_VARS, Config
from athens_proxy.config.sources import prefixed_env
from athens_proxy.config.values import ListenAddress, Secret, go_int, listen_address


def no_file(name: str) -> ConfigFile:
    raise FileNotFoundError(2, "No such file or directory", name)


def loaded(environ: Mapping[str, str] | None = None, toml: str | None = None, mode: int = 0o644) -> Config:
    if toml is None:
        return load([], environ or {}, no_file)
    return load(["-config_file=config.toml"], environ or {}, lambda _: ConfigFile(toml, mode))


def problems(environ: Mapping[str, str] | None = None, toml: str | None = None, mode: int = 0o644) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        loaded(environ, toml, mode)
    return caught.value.problems


def test_the_defaults_are_safe() -> None:
    config = loaded()

    assert (config.storage.type, config.log.level, config.server.address) == ("disk", "info", ListenAddress("", 3000))
    assert [f"{v.name}={v.value}" for v in config.upstream.go_env_vars] == list(DEFAULT_GO_ENV_VARS)
    assert config.upstream.network_mode == "strict"


@pytest.mark.parametrize(
    ("environ", "toml", "port"),
    [
        ({}, 'Port = ":4000"', 4000),
        ({"PORT": "5000"}, 'Port = ":4000"', 5000),
        ({"ATHENS_PORT": "6000", "PORT": "5000"}, 'Port = ":4000"', 6000),
        ({"ATHENS_ATHENS_PORT": "7000", "ATHENS_PORT": "6000"}, 'Port = ":4000"', 7000),
        ({"ATHENS_PORT": "", "PORT": "5000"}, 'Port = ":4000"', 5000),
        ({"ATHENS_PORT": "", "PORT": ""}, 'Port = ":4000"', 4000),
        ({}, 'port = "4000"', 4000),
    ],
)
def test_the_precedence_of_a_key_is_athens(environ: Mapping[str, str], toml: str, port: int) -> None:
    assert loaded(environ, toml).server.address.port == port


@pytest.mark.parametrize(
    ("toml", "env", "name"),
    [
        ("GoEnv", "GO_ENV", "ATHENS_GO_ENV"),
        ("Storage.Disk.RootPath", "ATHENS_DISK_STORAGE_ROOT", "ATHENS_STORAGE_DISK_ATHENS_DISK_STORAGE_ROOT"),
        ("Storage.S3.Region", "AWS_REGION", "ATHENS_STORAGE_S3_AWS_REGION"),
    ],
)
def test_the_first_name_carries_the_tables(toml: str, env: str, name: str) -> None:
    assert prefixed_env(toml, env) == name


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("3000", ListenAddress("", 3000)),
        (":3000", ListenAddress("", 3000)),
        ("127.0.0.1:3000", ListenAddress("127.0.0.1", 3000)),
        ("localhost:3901", ListenAddress("localhost", 3901)),
        ("[::1]:3000", ListenAddress("::1", 3000)),
    ],
)
def test_ports_are_go_listen_addresses(text: str, address: ListenAddress) -> None:
    assert listen_address(text) == address


@pytest.mark.parametrize(
    ("text", "number"), [("0x10", 16), ("0o17", 15), ("017", 15), ("1_000", 1000), ("-5", -5), ("+7", 7), ("0", 0)]
)
def test_integers_are_go_integers(text: str, number: int) -> None:
    assert go_int(text) == number


@pytest.mark.parametrize("text", ["", "1.5", "0x", "_1", "1__0", "08", "ten", " 1", "١"])
def test_what_go_does_not_parse_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError, match="not an integer"):
        go_int(text)


def test_empty_lists_and_texts_count_as_set() -> None:
    config = loaded({"ATHENS_SUM_DBS": "", "ATHENS_STATS_EXPORTER": ""}, 'SumDBs = ["https://sum.example.com"]')

    assert (config.upstream.sum_dbs, config.log.stats_exporter) == ((), "")


def test_go_variables_are_split_at_semicolons_and_an_empty_value_changes_nothing() -> None:
    toml = 'GoBinaryEnvVars = ["GOPROXY=direct"]'

    split = loaded({"ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=https://a,direct; GOSUMDB=off ;"}, toml).upstream.go_env_vars
    kept = loaded({"ATHENS_GO_BINARY_ENV_VARS": ""}, toml).upstream.go_env_vars

    assert [(v.name, v.value) for v in split] == [("GOPROXY", "https://a,direct"), ("GOSUMDB", "off")]
    assert [(v.name, v.value) for v in kept] == [("GOPROXY", "direct")]


BAD_ENVIRONMENT = {
    ("ATHENS_LOG_LEVEL", "bogus"): 'ATHENS_LOG_LEVEL: "bogus" is not allowed; use one of trace, debug, info, warn,'
    " warning, error, fatal, panic",
    ("ATHENS_NETWORK_MODE", ""): 'ATHENS_NETWORK_MODE: "" is not allowed; use one of strict, offline, fallback',
    ("ATHENS_STORAGE_TYPE", "x"): 'ATHENS_STORAGE_TYPE: "x" is not allowed;'
    " use one of disk, memory, s3, gcp, minio, azureblob, mongo, external",
    ("ATHENS_STORAGE_TYPE", "gcp"): "Storage.GCP.Bucket: must not be empty with StorageType gcp",
    ("ATHENS_STORAGE_S3_PREFIX", "a/../b"): 'ATHENS_STORAGE_S3_PREFIX: "a/../b" is no key prefix; use names of letters,'
    ' digits, "._-" with / between, at most 200',
    ("ATHENS_SINGLE_FLIGHT_TYPE", "raft"): 'ATHENS_SINGLE_FLIGHT_TYPE: "raft" is not allowed; use one of memory,'
    ' "", etcd, redis, redis-sentinel, gcp, azureblob',
    ("ATHENS_GOGET_WORKERS", "0"): "ATHENS_GOGET_WORKERS: 0 is not allowed; use 1 or more",
    ("ATHENS_GOGET_WORKERS", "many"): 'ATHENS_GOGET_WORKERS: "many" is not an integer',
    ("ATHENS_TIMEOUT", ""): 'ATHENS_TIMEOUT: "" is not an integer',
    ("ATHENS_SHUTDOWN_TIMEOUT", "-1"): "ATHENS_SHUTDOWN_TIMEOUT: -1 is not allowed; use 0 or more",
    ("PROXY_FORCE_SSL", "yes"): 'PROXY_FORCE_SSL: "yes" is not a boolean; use true or false',
    ("ATHENS_PORT", "abc"): 'ATHENS_PORT: "abc" is not a port; use a number up to 65535 or an address such as'
    " 127.0.0.1:3000",
    ("ATHENS_PORT", "99999"): 'ATHENS_PORT: "99999" is not a port; use a number up to 65535 or an address such as'
    " 127.0.0.1:3000",
    ("ATHENS_PORT", "tcp://10.3.104.46:80"): 'ATHENS_PORT: "tcp://10.3.104.46:80" is a Kubernetes service link, not a'
    " port: a Service of this name exists in the namespace; set enableServiceLinks: false in the pod or rename the"
    " Service",
    ("ATHENS_SUM_DBS", "http://x"): 'ATHENS_SUM_DBS: "http://x" must be an https:// address',
    ("ATHENS_GO_BINARY_ENV_VARS", "word"): "ATHENS_GO_BINARY_ENV_VARS: every item must have the form NAME=value",
    ("ATHENS_PATH_PREFIX", "go"): 'ATHENS_PATH_PREFIX: "go" must start with /',
    ("ATHENS_UPSTREAM_ERRORS", "soft"): 'ATHENS_UPSTREAM_ERRORS: "soft" is not allowed; use one of strict, notfound',
    ("ATHENS_DOWNLOAD_MODE", ""): "ATHENS_DOWNLOAD_MODE: must not be empty",
    (
        "ATHENS_PROXY_VALIDATOR",
        "x.example.com?token=t",
    ): "ATHENS_PROXY_VALIDATOR: must be an http:// or https:// address",
    ("ATHENS_TLSCERT_FILE", "/c"): "ATHENS_TLSCERT_FILE: needs TLSKeyFile as well",
    ("BASIC_AUTH_PASS", "p"): "BASIC_AUTH_PASS: needs BasicAuthUser as well",
}


@pytest.mark.parametrize(("name", "value"), list(BAD_ENVIRONMENT))
def test_a_bad_variable_is_one_line_with_its_name_and_what_is_allowed(name: str, value: str) -> None:
    assert problems({name: value}) == (BAD_ENVIRONMENT[name, value],)


BAD_FILES = {
    "goenv = 3": "goenv: 3 is not a text; put it in quotes",
    'GoGetWorkers = "3"': 'GoGetWorkers: "3" is not an integer',
    "Forcessl = 1": "Forcessl: 1 is not a boolean; use true or false",
    'SumDBs = "x"': "SumDBs: must be a list of texts",
    'GoBinaryEnvVars = "GOPROXY=https://user:secret@x"': "GoBinaryEnvVars: must be a list of texts",
    "Port = 3": "Port: 3 is not a text; put it in quotes",
    "Processes = 65": "Processes: 65 is not allowed; use 64 or less",
    'GithubToken = "t"\nNETRCPath = "/n"': "GithubToken: cannot provide both GithubToken and NETRCPath",
    "[Retention]\nMaxBytes = -1": "Retention.MaxBytes: -1 is not allowed; use 0 or more",
    '[Retention]\nKeep = ["a.com/x", "b[c"]': 'Retention.Keep: "b[c" is malformed; close its class or remove the [',
}


@pytest.mark.parametrize("toml", list(BAD_FILES))
def test_a_bad_file_value_is_one_line_with_the_key_as_written(toml: str) -> None:
    assert problems(toml=toml) == (BAD_FILES[toml],)


def test_a_file_that_is_no_toml_is_named_with_the_place() -> None:
    assert problems(toml="a = = b") == ("config.toml: Invalid value (at line 1, column 5)",)


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert loaded(toml='\ufeffPort = ":4000"').server.address.port == 4000


def test_all_problems_come_at_once() -> None:
    found = problems({"ATHENS_LOG_LEVEL": "x", "ATHENS_TIMEOUT": "x", "BASIC_AUTH_USER": "x"}, "GoGetWorkers = 0")

    assert [line.partition(":")[0] for line in found] == [
        "ATHENS_LOG_LEVEL", "ATHENS_TIMEOUT", "GoGetWorkers", "BASIC_AUTH_USER",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", [0o610, 0o660, 0o666, 0o755, 0o777])
def test_production_refuses_a_file_that_others_may_change(mode: int) -> None:
    assert problems(toml='GoEnv = "production"', mode=mode) == (
        "config.toml: others than its owner may write or execute it; run chmod 0644 config.toml",
    )


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o644, 0o604, 0o700])
def test_production_takes_a_file_that_only_its_owner_may_change(mode: int) -> None:
    assert loaded(toml='GoEnv = "production"', mode=mode).log.go_env == "production"


def test_a_missing_file_that_was_named_is_an_error_and_the_default_one_is_not() -> None:
    with pytest.raises(ConfigError, match=r"-config_file: nowhere\.toml cannot be read: No such file or directory"):
        load(["-config_file", "nowhere.toml"], {}, no_file)
    assert loaded().warnings == ("no configuration file is given: default settings, overridden by the environment",)


def test_unknown_names_warn_and_service_links_do_not() -> None:
    config = loaded(
        {"ATHENS_LGO_LEVEL": "x", "ATHENS_SERVICE_HOST": "10.0.0.1", "ATHENS_PORT_80_TCP": "tcp://10.0.0.1:80"},
        'LogLevel = "info"\n[Storage.CDN]\nEndpoint = "x"\n[Index.Postgres.Params]\nsslmode = "off"',
    )

    assert config.warnings == (
        "ATHENS_LGO_LEVEL: no setting has this environment name; it has no effect",
        "Storage.CDN.Endpoint: no setting has this name in the configuration file; it has no effect",
    )


def test_a_misspelt_command_starts_the_proxy_as_in_athens_and_is_warned_about() -> None:
    config = load(["-config_file=config.toml", "verfy", "--sumdb"], {}, lambda _: ConfigFile("", 0o644))

    assert config.warnings == ("argument 'verfy': it is no command of athens-proxy; it and what follows has no effect",)


def test_settings_of_the_operator_load_without_a_warning() -> None:
    toml = """
    GoEnv = "production"
    Port = ":3000"
    GoGetDir = "/scratch"
    DownloadMode = "file:/etc/athens/policy/download.hcl"
    StorageType = "disk"
    UpstreamErrors = "strict"
    LogFormat = "json"
    GoBinaryEnvVars = ["GOPROXY=https://proxy.example.com,direct", "GOPRIVATE=example.com/private"]
    [Storage.Disk]
    RootPath = "/var/lib/athens"
    """
    environ = {
        "ATHENS_ATHENS_FILTER_FILE": "",
        "ATHENS_ATHENS_DOWNLOAD_MODE": "file:/etc/athens/policy/download.hcl",
        "HOME": "/home/athens",
        "TMPDIR": "/scratch",
    }

    config = loaded(environ, toml)

    assert config.warnings == ()
    assert config.storage.disk_root == "/var/lib/athens"
    assert config.origins["DownloadMode"].name == "ATHENS_ATHENS_DOWNLOAD_MODE"


def test_secrets_are_never_shown() -> None:
    config = loaded(
        {"BASIC_AUTH_USER": "u", "BASIC_AUTH_PASS": "hunter2", "ATHENS_GO_BINARY_ENV_VARS": "GOPROXY=https://u:pw@x"}
    )

    assert "hunter2" not in repr(config)
    assert "pw@" not in repr(config)
    assert config.server.basic_auth_pass.reveal() == "hunter2"
    assert repr(Secret("x")) == "Secret('********')"


@pytest.mark.parametrize(
    ("argv", "file", "version"),
    [
        ([], "", False),
        (["-config_file", "x"], "x", False),
        (["--config_file=x"], "x", False),
        (["-version"], "", True),
        (["positional", "-nonsense"], "", False),
    ],
)
def test_flags_are_in_go_notation(argv: list[str], file: str, version: bool) -> None:
    found = arguments(argv)

    assert (found.config_file, found.version) == (file, version)


@pytest.mark.parametrize("argv", [["-nonsense"], ["-config_file"], ["-version=x"]])
def test_an_unknown_flag_is_a_usage_error(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        arguments(argv)


@pytest.mark.parametrize("name", ["ATHENS_DOWNLOAD_URL", "ATHENS_GLOBAL_ENDPOINT", "ATHENS_PROXY_VALIDATOR"])
def test_an_address_that_clients_or_we_are_sent_to_is_an_http_address(name: str) -> None:
    assert problems({name: "proxy.example.com"}) == (f"{name}: must be an http:// or https:// address",)
    loaded({name: "https://proxy.example.com/base"})


def test_a_table_where_one_setting_belongs_is_no_silent_default() -> None:
    assert problems(toml="[NoSumPatterns]\nmine = 'git.example.com/*'") == (
        "NoSumPatterns: is a single setting, not a table; write NoSumPatterns = ...",
    )
