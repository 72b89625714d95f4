"""From a go.sum to a site without network: export, import, and the real `go` with the checksum database on."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from athens_proxy.checksums.tree_slice import needed_tiles
from support.checksum_log import NAME as log_name
from support.checksum_log import ChecksumLog, record
from support.commands import Site
from support.go_client import GoClient, public_proxy
from support.go_test_proxy import SUMDB_KEY, SUMDB_NAME, GoTestProxy
from support.goproxy_server import GoProxyServer
from support.modules_fixture import SampleModule, write_file_proxy
from support.proxy_process import Settings, running, running_beside

NOWHERE = "http://127.0.0.1:9"
NO_NETWORK = {name: NOWHERE for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
DATABASE = {"ATHENS_SUM_DBS": f"https://{SUMDB_NAME}"}
HELLO = Path(__file__).parents[3] / "examples" / "hello"
NewClient = Callable[..., GoClient]


def online(folder: Path, go_test_proxy: GoTestProxy, **env: str) -> Site:
    return Site(folder, Settings(go_test_proxy.url, (f"GOSUMDB={SUMDB_KEY}",), env={**DATABASE, **env}))


def offline(folder: Path, **env: str) -> Site:
    return Site(
        folder,
        Settings(
            NOWHERE,
            (f"GOSUMDB={SUMDB_KEY}",),
            env={**DATABASE, **NO_NETWORK, "ATHENS_NETWORK_MODE": "offline", **env},
        ),
    )


def go_sum_of(folder: Path, go_test_proxy: GoTestProxy, *imports: str) -> Path:
    """The go.sum of a program with these imports."""
    client = GoClient(folder, go_test_proxy.url, gosumdb=SUMDB_KEY)
    client.program(*imports)
    client.run("mod", "tidy").ok()
    return client.work / "go.sum"


def build_without_network(client: GoClient, *imports: str) -> None:
    """Everything that asks proxy and checksum database, with nothing known before."""
    client.program(*imports)
    (client.work / "go.sum").unlink(missing_ok=True)
    client.run("mod", "tidy").ok()
    client.run("build", "./...").ok()
    assert "all modules verified" in client.run("mod", "verify").ok().stdout


def test_a_bundle_of_a_public_project_is_all_that_a_site_without_network_needs(
    tmp_path: Path, new_client: NewClient
) -> None:
    here = Site(tmp_path / "here", Settings(public_proxy(), go_env=()))
    there = Site(tmp_path / "there", Settings(NOWHERE, go_env=(), env={**NO_NETWORK, "ATHENS_NETWORK_MODE": "offline"}))
    bundle = tmp_path / "bundle.tar.zst"

    exported = here.run("export", "--go-sum", HELLO / "go.sum", "-o", bundle, "--json").ok()
    imported = there.run("import", bundle, "--go-sum", HELLO / "go.sum", "--json").ok()

    with running(there.folder, there.settings) as proxy:
        client = new_client(proxy.url, gosumdb="sum.golang.org", env=NO_NETWORK)
        shutil.copytree(HELLO, client.work, dirs_exist_ok=True)
        client.run("build", "./...").ok()
        (client.work / "go.sum").unlink()
        client.run("mod", "tidy").ok()
        assert "all modules verified" in client.run("mod", "verify").ok().stdout
        assert (client.work / "go.sum").read_text() == (HELLO / "go.sum").read_text()
    total = exported.document["total"]
    assert exported.document["verified"] == total == imported.document["imported"] > 0


ONE, TWO = SampleModule("example.com/one"), SampleModule("example.com/two")
FIRST_TREE, SECOND_TREE = 300, 700  # the second one fills tiles that are partial in the first


class GrowingDatabase(GoProxyServer):
    """A module proxy with two modules and a checksum database, in which the second one is recorded later."""

    def __init__(self, scratch: Path) -> None:
        super().__init__([ONE, TWO])
        self.log = ChecksumLog([record(f"filler.example.com/m{number}", "v1.0.0") for number in range(SECOND_TREE)])
        for record_id, module in ((260, ONE), (650, TWO)):
            fetched = module.fetched(scratch)
            self.log.records[record_id] = record(module.path, module.version, fetched.zip_h1, fetched.mod_h1)
        self.files |= {f"sumdb/{log_name}/supported": b""}
        self.show(FIRST_TREE, ONE, 260)

    def show(self, size: int, module: SampleModule, record_id: int) -> None:
        """Let the tree of that size be the newest, and look up a module in it."""
        base = f"sumdb/{log_name}"
        self.files[f"{base}/lookup/{module.path}@{module.version}"] = self.log.answer(record_id, size=size)
        self.files[f"{base}/latest"] = self.log.note(size)
        for tile in needed_tiles(size, records=range(size)):
            self.files[f"{base}/{tile.path}"] = self.log.tile_bytes(tile)

    def grow(self) -> None:
        """Record the second module."""
        self.show(SECOND_TREE, TWO, 650)

    def online(self, folder: Path) -> Site:
        """A site that reaches the database."""
        env = {"ATHENS_SUM_DBS": f"https://{log_name}"}
        return Site(folder, Settings(self.url, (f"GOSUMDB={self.log.key}",), env=env))

    def offline(self, folder: Path) -> Site:
        """A site that reaches nothing."""
        env = {"ATHENS_SUM_DBS": f"https://{log_name}", "ATHENS_NETWORK_MODE": "offline", **NO_NETWORK}
        return Site(folder, Settings(NOWHERE, (f"GOSUMDB={self.log.key}",), env=env))


async def test_clients_that_know_the_tree_of_one_bundle_work_on_with_the_next(tmp_path: Path) -> None:
    """The database has grown in between, and nobody at the other side can ask it for a proof."""
    (tmp_path / "zips").mkdir()
    async with GrowingDatabase(tmp_path / "zips").running() as database:
        assert isinstance(database, GrowingDatabase)
        here, there = database.online(tmp_path / "here"), database.offline(tmp_path / "there")
        async with running_beside(there.folder, there.settings) as proxy:
            client = GoClient(tmp_path / "client", proxy.url, gosumdb=database.log.key, env=NO_NETWORK)
            made = []
            for number, modules in enumerate(((ONE,), (ONE, TWO))):
                bundle, names = tmp_path / f"{number}.tar.zst", [str(module.wanted) for module in modules]
                made.append((await asyncio.to_thread(here.run, "export", *names, "-o", bundle)).ok())
                (await asyncio.to_thread(there.run, "import", bundle)).ok()
                (await asyncio.to_thread(client.run, "mod", "download", *names)).ok()
                database.grow()
            fresh = GoClient(tmp_path / "fresh", proxy.url, gosumdb=database.log.key, env=NO_NETWORK)
            for module in (TWO, ONE):
                (await asyncio.to_thread(fresh.run, "mod", "download", str(module.wanted))).ok()

    assert [run.document["checksumTree"] for run in made] == [FIRST_TREE, SECOND_TREE]
    assert [run.document["continuesTrees"] for run in made] == [[], [FIRST_TREE]]


async def test_a_bundle_that_does_not_continue_what_clients_know_is_refused_until_it_is_made_since(
    tmp_path: Path,
) -> None:
    (tmp_path / "zips").mkdir()
    first, second = tmp_path / "first.tar.zst", tmp_path / "second.tar.zst"
    async with GrowingDatabase(tmp_path / "zips").running() as database:
        assert isinstance(database, GrowingDatabase)
        here, other = database.online(tmp_path / "here"), database.online(tmp_path / "other")
        there, elsewhere = database.offline(tmp_path / "there"), database.offline(tmp_path / "elsewhere")
        (await asyncio.to_thread(here.run, "export", str(ONE.wanted), "-o", first)).ok()
        database.grow()
        (await asyncio.to_thread(other.run, "export", str(TWO.wanted), "-o", second)).ok()
        (await asyncio.to_thread(there.run, "import", first)).ok()
        before = there.files()

        refused = await asyncio.to_thread(there.run, "import", second)
        left = there.files()
        with_network = (await asyncio.to_thread(here.run, "import", second)).ok()
        known = (here.store / ".athens/sumdb" / log_name / "newest").read_bytes()
        (await asyncio.to_thread(elsewhere.run, "import", second)).ok()
        older = await asyncio.to_thread(elsewhere.run, "import", first)
        (await asyncio.to_thread(other.run, "export", str(TWO.wanted), "--since", first, "-o", second)).ok()
        (await asyncio.to_thread(there.run, "import", second)).ok()

    assert (refused.code, refused.stdout, refused.stderr.count("\n"), left) == (1, "", 1, before)
    assert "export again with --since" in refused.stderr
    assert (with_network.document["imported"], with_network.document["checksumRecords"]) == (1, 0)
    assert known == database.log.note(FIRST_TREE)
    assert (older.code, older.document["imported"], older.document["checksumRecordsLeftOut"]) == (1, 1, 1)
    assert "1 records of sum.example.com are not kept" in older.stderr


async def test_a_database_that_shows_another_past_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zips").mkdir()
    bundles = [tmp_path / "first.tar.zst", tmp_path / "second.tar.zst"]
    async with GrowingDatabase(tmp_path / "zips").running() as database:
        assert isinstance(database, GrowingDatabase)
        there = database.offline(tmp_path / "there")
        here = database.online(tmp_path / "here")
        (await asyncio.to_thread(here.run, "export", str(ONE.wanted), "-o", bundles[0])).ok()
        database.log.records[7] = record("rewritten.example.com/m", "v1.0.0")
        database.grow()
        other = database.online(tmp_path / "other")
        (await asyncio.to_thread(other.run, "export", str(TWO.wanted), "--since", bundles[0], "-o", bundles[1])).ok()
        (await asyncio.to_thread(there.run, "import", bundles[0])).ok()

        refused = await asyncio.to_thread(there.run, "import", bundles[1])

    assert refused.code == 1
    assert "shows different trees to different people" in refused.stderr


def test_a_toolchain_crosses_the_gap_and_go_runs_it(go_test_proxy: GoTestProxy, tmp_path: Path) -> None:
    here, there = online(tmp_path / "here", go_test_proxy), offline(tmp_path / "there")
    bundle = tmp_path / "bundle.tar.zst"
    version = "golang.org/toolchain@v0.0.1-go1.999testmod.linux-amd64"

    here.run("export", version, "-o", bundle).ok()
    there.run("import", bundle).ok()

    with running(there.folder, there.settings) as proxy:
        env = {**NO_NETWORK, "GOTOOLCHAIN": "go1.999testmod", "GOFLAGS": "", "GOARCH": "amd64", "GOOS": "linux"}
        client = GoClient(tmp_path / "client", proxy.url, gosumdb=SUMDB_KEY, env=env)
        assert "go1.999testmod here!" in client.run("version").ok().stdout
    subprocess.run(["chmod", "-R", "u+w", client.folder], check=True)


def test_a_module_cache_is_taken_as_it_is_with_its_checksum_records(go_test_proxy: GoTestProxy, tmp_path: Path) -> None:
    user = GoClient(tmp_path / "user", go_test_proxy.url, gosumdb=SUMDB_KEY)
    user.program("rsc.io/quote")
    user.run("mod", "tidy").ok()
    there = offline(tmp_path / "there")

    first = there.run("import", user.cache).ok()
    again = there.run("import", user.cache / "cache" / "download").ok()

    with running(there.folder, there.settings) as proxy:
        client = GoClient(tmp_path / "client", proxy.url, gosumdb=SUMDB_KEY, env=NO_NETWORK)
        build_without_network(client, "rsc.io/quote")
    imported = first.document["imported"]
    assert imported == again.document["present"] > 0
    assert (first.document["unverified"], first.document["checksumRecords"] >= imported) == (0, True)


def test_a_public_version_without_record_is_refused_unless_it_is_said_to_be_private(
    tmp_path: Path, go_test_proxy: GoTestProxy
) -> None:
    module = SampleModule("corp.example.com/secret")
    tree = write_file_proxy(tmp_path / "tree", [module])
    here = Site(
        tmp_path / "here",
        Settings(f"file://{tree}", (f"GOSUMDB={SUMDB_KEY}", "GONOSUMDB=corp.example.com"), env=DATABASE),
    )
    bundle = tmp_path / "bundle.tar.zst"
    here.run("export", "corp.example.com/secret@v1.0.0", "-o", bundle).ok()
    there = offline(tmp_path / "there")

    refused = there.run("import", bundle)
    private = there.run("import", bundle, env={"ATHENS_GONOSUM_PATTERNS": "corp.example.com"}).ok()
    other = offline(tmp_path / "other").run("import", bundle, "--unverified").ok()

    assert (refused.code, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "1 versions have no proven record of localhost.localdev/sumdb" in refused.stderr
    assert "NoSumPatterns" in refused.stderr
    assert private.document["imported"] == other.document["imported"] == 1
    assert (private.document["unverified"], other.document["unverified"]) == (0, 1)


def test_an_export_that_lacks_a_version_leaves_no_file_and_the_one_before_as_it_was(
    go_test_proxy: GoTestProxy, tmp_path: Path
) -> None:
    here = online(tmp_path / "here", go_test_proxy)
    bundle = tmp_path / "bundle.tar.zst"
    here.run("export", "rsc.io/quote@v1.5.2", "-o", bundle).ok()
    before = bundle.read_bytes()

    failed = here.run("export", "rsc.io/quote@v1.5.2", "example.com/none@v1.0.0", "-o", bundle)
    kept = bundle.read_bytes()
    partial = here.run("export", "rsc.io/quote@v1.5.2", "example.com/none@v1.0.0", "-o", bundle, "--allow-missing")

    assert (failed.code, failed.document["bundle"], kept) == (1, "", before)
    assert failed.document["failures"][0]["module"] == "example.com/none"
    assert (partial.code, partial.document["succeeded"], partial.document["bundle"]) == (1, 1, str(bundle))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["bundle.tar.zst"]


def test_a_private_module_has_to_be_named_before_it_can_be_exported(tmp_path: Path, go_test_proxy: GoTestProxy) -> None:
    """It was stored while nothing was verified; the checksum database does not know it."""
    module = SampleModule("corp.example.com/secret")
    tree = write_file_proxy(tmp_path / "tree", [module])
    unverified = Site(tmp_path / "here", Settings(f"file://{tree}", ("GOSUMDB=off",)))
    unverified.run("prefetch", str(module.wanted)).ok()
    here = online(tmp_path / "here", go_test_proxy)
    bundle = tmp_path / "bundle.tar.zst"

    refused = here.run("export", str(module.wanted), "-o", bundle)
    missing_folder = here.run("export", str(module.wanted), "-o", tmp_path / "none" / "bundle.tar.zst")
    here.run("export", str(module.wanted), "-o", bundle, env={"ATHENS_GONOSUM_PATTERNS": "corp.example.com"}).ok()

    assert (refused.code, refused.stdout) == (1, "")
    assert "if it is private, list it in NoSumPatterns" in refused.stderr
    assert (missing_folder.code, "name a file in a folder that exists" in missing_folder.stderr) == (2, True)


def test_a_go_sum_that_differs_from_what_the_proxy_has_ends_the_export(
    go_test_proxy: GoTestProxy, tmp_path: Path
) -> None:
    here = online(tmp_path / "here", go_test_proxy)
    go_sum = tmp_path / "go.sum"
    go_sum.write_text("rsc.io/quote v1.5.2 h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=\n")

    run = here.run("export", "--go-sum", go_sum, "-o", tmp_path / "bundle.tar.zst")

    assert (run.code, run.stdout) == (1, "")
    assert "rsc.io/quote@v1.5.2: checksum mismatch: its zip has h1:" in run.stderr
    assert "go.sum has h1:G7mA" in run.stderr
    assert not (tmp_path / "bundle.tar.zst").exists()
