"""Builds, results, caches and other operations of a store, checked against the engine."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import time
from pathlib import Path

import pytest
from conftest import begun, docker, on_engine

import docker_store
from docker_store import (
    CacheMode,
    Channel,
    Command,
    Counter,
    Fate,
    HealthCheck,
    HostFiles,
    HostFolder,
    ImageConfig,
    Item,
    LogLevel,
    Options,
    Outcome,
    Policy,
    Released,
    Secret,
    Store,
    Volume,
    Went,
    errors,
)


def tar_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def content_of(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        members = [(member.name, opened.extractfile(member)) for member in opened]
        return {name: file.read() for name, file in members if file}


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_a_result_is_built_once_and_is_an_image(store: Store) -> None:
    heard: list[tuple[Channel, bytes]] = []
    step = begun(store, "app")
    with step:
        assert step.id == "app"
        step.copy_in("/in", io.BytesIO(tar_of(a="ay")))
        step.write_log("by hand\n")
        code = step.run(shell("echo out; sleep 0.2; echo err >&2; cp /in/a /b"), output=lambda *piece: heard.append(piece))
        assert code == 0
        out = io.BytesIO()
        assert step.copy_out("/b", out) == len(out.getvalue())
        assert content_of(out.getvalue()) == {"b": b"ay"}
    assert heard == [(Channel.STDOUT, b"out\n"), (Channel.STDERR, b"err\n")]
    assert store.begin("app", "base") is None
    assert store.build("app", lambda step: pytest.fail("built again"), "base") == Outcome.HIT
    assert store.result("app")
    assert not store.result("none")
    assert not store.building("app")
    image = f"{store.prefix}-image-app"
    assert docker("run", "--rm", "--network", "none", image, "cat", "/b") == ["ay"]
    assert Path(store.log_file("app")).read_text() == "by hand\nout\nerr\n"
    assert [result.id for result in store.results()] == ["app", "base"]
    assert store.count(Counter.RESULTS_COMMITTED) == 2
    with pytest.raises(errors.Closed):
        step.run(["true"])


def test_files_go_by_paths_as_by_streams(store: Store, tmp_path: Path) -> None:
    source, target = tmp_path / "in.tar", tmp_path / "out.tar"
    source.write_bytes(tar_of(a="by path"))
    with begun(store, "files") as step:
        step.copy_in("/", source)
        step.copy_out("/a", target)
    assert content_of(target.read_bytes()) == {"a": b"by path"}
    size = store.copy_out("files", "/a", target)
    assert size == target.stat().st_size
    stream = io.BytesIO()
    store.copy_out("files", "/a", stream)
    assert stream.getvalue() == target.read_bytes()
    with pytest.raises(errors.NotFound), begun(store, "none") as step:
        step.copy_out("/no/such", stream)


def test_files_are_unpacked_into_a_local_directory(store: Store, tmp_path: Path) -> None:
    with begun(store, "tree") as step:
        step.run(shell("mkdir -p /t/d && echo one > /t/one && ln -s one /t/d/link && chown 3:4 /t/one && chmod 4711 /t/one"))
        assert step.copy_out_host("/t", tmp_path / "by-step") == 4
        with pytest.raises(errors.NotFound):
            step.copy_out_host("/no/such", tmp_path / "by-step")
    assert (tmp_path / "by-step/d/link").readlink() == Path("one")
    found = (tmp_path / "by-step/one").stat()
    assert (found.st_uid, found.st_mode & 0o7000) == (os.geteuid(), 0)
    into = HostFolder(tmp_path / "by-store", owner=(os.geteuid(), os.getegid()), keep_modes=True)
    assert store.copy_out_host("tree", "/t/one", into) == 4
    assert (tmp_path / "by-store/one").stat().st_mode & 0o7777 == 0o4711
    if os.geteuid() == 0:
        store.copy_out_host("tree", "/t", HostFolder(tmp_path / "owned", keep_owners=True))
        assert (tmp_path / "owned/one").stat().st_uid == 3


def test_local_files_are_copied_as_chosen_with_their_digest(store: Store, tmp_path: Path) -> None:
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/main.c").write_text("int main;")
    (tmp_path / "src/sub/kept.o").write_text("kept")
    (tmp_path / "src/sub/left.o").write_text("left")
    files = HostFiles(tmp_path / "src", exclude=["**/*.o", "!sub/kept.o"], name="app", owner=(3, 4), fixed_times=5)
    digest = files.digest()
    assert len(digest) == 64
    assert files.digest() == digest
    (tmp_path / "src/sub/left.o").write_text("what is excluded does not count")
    with begun(store, "local") as step:
        assert step.copy_in_host("/in", files) == digest
        step.copy_in_host("/", tmp_path / "src/main.c")
    image = f"{store.prefix}-image-local"
    look = "cd /in && find . -type f | sort && stat -c '%u:%g %Y' app/main.c && cat /main.c"
    words = docker("run", "--rm", "--network", "none", image, "/bin/sh", "-c", look)
    assert words == ["./app/main.c", "./app/sub/kept.o", "3:4", "5", "int", "main;"]
    (tmp_path / "src/main.c").write_text("int other;")
    assert files.digest() != digest
    with pytest.raises(errors.Io):
        HostFiles(tmp_path / "none").digest()
    with pytest.raises(errors.InvalidArgument), begun(store, "no") as step:
        step.copy_in_host("relative", files)


def test_a_program_that_is_missing_is_told_from_a_command_that_ends_with_127(store: Store) -> None:
    with begun(store, "missing") as step:
        assert step.run(Command(shell("exit 127"), allow_failure=True)) == 127
        assert step.was_started
        assert step.run(Command(["no-such-program"], allow_failure=True)) == 127
        assert not step.was_started
    with pytest.raises(errors.NotStarted) as missing, begun(store, "none") as step:
        step.run(["no-such-program"])
    assert missing.value.exit_code == 127
    with pytest.raises(errors.InvalidArgument, match="platform"), begun(store, "pulled", None) as bare:
        bare.pull("localhost:1/none:1", platform="no platform")


def test_a_failure_says_what_went_wrong_and_leaves_no_result(store: Store) -> None:
    with pytest.raises(errors.CommandFailed) as caught, begun(store, "bad") as step:
        step.run(shell("exit 3"))
    assert caught.value.exit_code == 3
    assert isinstance(caught.value, docker_store.Error)
    assert not store.result("bad")
    with begun(store, "allowed") as step:
        assert step.run(Command(shell("exit 3"), allow_failure=True)) == 3
    with pytest.raises(errors.NotFound, match="nobase") as missing:
        store.begin("x", "nobase")
    assert isinstance(missing.value, LookupError)
    with pytest.raises(errors.InvalidArgument) as invalid:
        store.begin("NOT AN ID", "base")
    assert isinstance(invalid.value, ValueError)
    with pytest.raises(errors.InvalidArgument, match="contains a NUL"):
        store.result("a\0b")
    with pytest.raises(errors.InvalidArgument, match="timeout"):
        store.ping(timeout=-1)
    with pytest.raises(errors.Unreachable):
        Store(store.root + "-other", Options(engine="unix:///no/such.sock"))
    with pytest.raises(ZeroDivisionError), begun(store, "raised"):
        raise ZeroDivisionError
    assert not store.result("raised")
    assert [name for name in on_engine(store.prefix) if "-tmp-" in name or "-container-" in name] == []


def test_a_command_has_what_it_was_given(store: Store, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("a file")
    said: list[bytes] = []
    with begun(store, "told") as step:
        step.run(
            Command(
                shell('echo "$WHO $PWD $(cat /secret) $(hostname) $(id -u) $(cat)"'),
                cwd="/tmp",
                env={"WHO": "me"},
                user="7:8",
                hostname="here",
                secrets={"/secret": Secret(b"hush", uid=7, gid=8)},
                stdin=b"input",
                cpus=0.5,
                memory=64 << 20,
                timeout=60,
            ),
            output=lambda _, piece: said.append(piece),
        )
        step.run(Command(["cat"], stdin=tmp_path / "input"), output=lambda _, piece: said.append(piece))
        with pytest.raises(errors.InvalidArgument, match="none"):
            step.run(Command(["true"], mounts={"/v": Volume("none")}))
        step.abort()
    assert b"".join(said) == b"me /tmp hush here 7 input\na file"
    with pytest.raises(errors.TimedOut), begun(store, "slow") as step:
        step.run(Command(shell("sleep 60"), timeout=0.3))


def test_a_cache_is_lent_and_the_first_release_wins(store: Store) -> None:
    with store.cache("words") as lease:
        assert lease.generation == 0
        with begun(store, "writes") as step:
            step.run(Command(shell("echo x >/c/x"), mounts={"/c": lease}))
    second = store.cache(b"words", mode=CacheMode.LOCKED)
    assert second.generation == 1
    assert docker("volume", "ls", "-q", "--filter", f"name={second.volume}") == [second.volume]
    assert second.release() == Released.UNCHANGED
    with pytest.raises(errors.Closed):
        second.release()
    store.limit_cache("words", 1 << 30)
    [cache] = store.caches()
    assert (cache.name, cache.generation, cache.limit, cache.leases) == ("words", 1, 1 << 30, 0)
    strategy, reason = store.strategy()
    assert strategy
    assert reason
    assert store.delete_cache("words")
    assert not store.delete_cache("words")


def test_a_store_is_kept_within_bounds(store: Store) -> None:
    for id in ("one", "two"):
        with begun(store, id) as step:
            step.run(shell("head -c 100000 /dev/urandom >/f"))
    assert store.pin("one")
    assert not store.pin("one")
    assert store.pin_cache("kept")
    assert [(pin.item, pin.name) for pin in store.pins()] == [(Item.RESULT, "one"), (Item.CACHE, "kept")]
    usage = store.usage()
    assert {row.id: row.base for row in usage.results} == {"base": None, "one": "base", "two": "base"}
    assert {row.id for row in usage.results if row.pinned} == {"one"}
    assert usage.results_bytes > 200_000
    assert {log.id for log in usage.logs} >= {"one", "two"}
    heard: list[docker_store.Pruned] = []
    report = store.prune(Policy(most_bytes=0, spare=0.001), heard.append)
    assert heard == [row for row in report.rows if row in heard]
    assert {row.name for row in report.rows if row.fate == Fate.REMOVED} == {"two"}
    assert not report.reached
    assert store.went("two").went == Went.PRUNED
    assert store.unpin("one")
    assert store.unpin_cache("kept")
    assert store.delete("one")
    assert not store.delete("one")
    assert store.went("one").went == Went.DELETED
    assert store.why_gone("one") == store.went("one")


def test_a_product_is_published(store: Store, tmp_path: Path) -> None:
    with begun(store, "app") as step:
        step.configure(
            ImageConfig(
                command=["cat", "/etc/passwd"],
                env={"A": "b"},
                labels={"l": "m"},
                ports={"80": True},
                health_check=HealthCheck(["true"], interval=5),
            )
        )
    name = f"example.test/{store.prefix}:1"
    assert store.tag("app", name) is None
    try:
        [shown] = docker("image", "inspect", name, "--format", "{{json .Config.Labels}}{{json .Config.ExposedPorts}}")
        assert shown == '{"l":"m"}{"80/tcp":{}}'
    finally:
        docker("rmi", name)
    file, stream = tmp_path / "app.tar", io.BytesIO()
    assert store.save("app", file) == store.save("app", stream)
    assert file.read_bytes() == stream.getvalue()
    stream.seek(0)
    assert store.load("again", stream)
    assert not store.load("again", file)
    heard: list[str] = []
    loaded = begun(store, "loaded", None)
    with loaded:
        loaded.load(file, progress=lambda status, item, current, total: heard.append(status))
    assert store.result("loaded")
    with pytest.raises(docker_store.Error):
        store.push("app", f"localhost:1/{store.prefix}:1", timeout=30)
    docker("rmi", f"localhost:1/{store.prefix}:1")


def test_a_store_says_how_it_is(store: Store) -> None:
    store.ping(timeout=10)
    health = store.health()
    assert health.engine_version == docker("version", "--format", "{{.Server.Version}}")[0]
    assert 0 < store.df().percent <= 100
    assert store.purge() == docker_store.Purged(0, 0, 0)
    assert (store.api_version, store.engine) == (health.api_version, health.address)
    assert Path(store.state_dir).is_dir()
    assert Path(store.empty_dir).is_dir()
    docker_store.log_collect(LogLevel.WARNING)
    began = time.monotonic()
    assert all(level for level, _ in docker_store.log_fetch(0.2))
    assert time.monotonic() - began < 5
    docker_store.log_collect(LogLevel.OFF)


def test_a_root_is_given_up(root: Path) -> None:
    with Store(root) as store, pytest.raises(errors.Busy):
        docker_store.destroy(root)
    del store
    found = docker_store.destroy(root, dry_run=True)
    assert found
    assert not any(row.removed for row in found)
    identity = found[0].identity
    assert {row.identity for row in docker_store.find_remains(identity)} == {identity}
    with pytest.raises(errors.Conflict):
        docker_store.destroy_remains(identity)
    assert all(row.removed for row in docker_store.destroy(root))
    assert not root.exists()


def test_ids_are_those_of_every_language() -> None:
    # As in the examples in C, OCaml and Rust: a name and 64 digits.
    one, other = docker_store.make_id("app", "ab", "c"), docker_store.make_id("app", "a", b"bc")
    assert one != other
    assert one == docker_store.make_id("app", b"ab", b"c")
    assert (one[:4], len(one)) == ("app-", 68)
    assert docker_store.make_id("x", "a\0b") != docker_store.make_id("x", "a")


def test_other_threads_run_while_a_call_blocks(store: Store) -> None:
    ticks, done = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.01)

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        with begun(store, "sleeps") as step:
            step.run(shell("sleep 1"))
    finally:
        done.set()
        ticker.join()
    assert ticks > 30


def test_a_store_is_for_many_threads(store: Store) -> None:
    outcomes: list[Outcome] = []

    def build() -> None:
        outcomes.append(store.build("same", lambda step: step.run(shell("sleep 0.2")), "base"))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Outcome.HIT] * 3 + [Outcome.BUILT]
