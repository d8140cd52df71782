"""Callbacks, cancels, Ctrl-C and forks."""

from __future__ import annotations

import gc
import io
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from conftest import begun, ctrl_c, on_engine, soon

from docker_store import Cancel, Channel, Options, Store, errors

SLEEP = ["sleep", "60"]


class MineError(Exception):
    """An exception that only a test raises."""


# ---------------------------------------------------------------- callbacks


class Broken(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise MineError("reading")

    def write(self, data: object) -> int:
        raise MineError("writing")


def test_what_a_callback_raises_is_raised_by_the_call(store: Store) -> None:
    def output(channel: Channel, piece: bytes) -> None:
        raise MineError(piece.decode())

    with pytest.raises(MineError, match="said"), begun(store, "heard") as step:
        step.run(["echo", "said"], output)
    with pytest.raises(MineError, match="reading"), begun(store, "read") as step:
        step.copy_in("/", Broken())
    with pytest.raises(MineError, match="writing"):
        store.copy_out("base", "/bin", Broken())
    with pytest.raises(TypeError, match="must return bytes"), begun(store, "text") as step:
        step.copy_in("/", io.StringIO("text"))  # type: ignore[arg-type]
    assert [result.id for result in store.results()] == ["base"]


def test_callbacks_run_where_the_call_was_made(store: Store) -> None:
    def record(id: str) -> list[str]:
        # An SQLite connection may be used only in the thread that created it.
        database = sqlite3.connect(":memory:")
        database.execute("CREATE TABLE said (piece)")
        with begun(store, id) as step:
            step.run(["echo", "hello"], lambda _, piece: database.execute("INSERT INTO said VALUES (?)", (piece.decode(),)))
        return [piece for (piece,) in database.execute("SELECT piece FROM said")]

    assert record("main") == ["hello\n"]
    said: list[list[str]] = []
    other = threading.Thread(target=lambda: said.append(record("other")))
    other.start()
    other.join()
    assert said == [["hello\n"]]


def test_a_callback_may_make_calls_but_on_its_own_step(store: Store) -> None:
    seen: list[object] = []
    with begun(store, "nested") as step:

        def output(channel: Channel, piece: bytes) -> None:
            seen.append(store.result("base"))
            try:
                step.run(["true"])
            except errors.Busy as e:
                seen.append(type(e))

        step.run(["echo"], output)
    assert seen == [True, errors.Busy]


def test_who_waits_for_a_build_hears_its_log(store: Store) -> None:
    heard: list[tuple[int, bytes]] = []
    first = begun(store, "same")

    def build() -> None:
        with first:
            first.run(["sh", "-c", "echo begun; sleep 1; echo ended"])

    other = threading.Thread(target=build)
    other.start()
    assert store.begin("same", "base", follow=lambda attempt, piece: heard.append((attempt, piece))) is None
    other.join()
    assert {attempt for attempt, _ in heard} == {1}
    assert b"".join(piece for _, piece in heard) == b"begun\nended\n"


# ---------------------------------------------------------------- cancels


def test_a_cancel_ends_what_it_was_given_to_at_once(store: Store) -> None:
    cancel = Cancel()
    with pytest.raises(errors.Cancelled), soon(cancel.trigger) as when:
        store.build("long", lambda step: step.run(SLEEP), "base", cancel=cancel)
    assert time.monotonic() - when[0] < 3
    assert cancel.is_triggered()
    with pytest.raises(errors.Cancelled):
        store.begin("late", "base", cancel=cancel)
    assert not store.result("long")


def test_a_timeout_ends_a_step(store: Store) -> None:
    step = store.begin("long", "base", timeout=1)
    assert step is not None
    with pytest.raises(errors.TimedOut), step:
        step.run(SLEEP)
    with begun(store, "limited") as step:
        step.limit(timeout=0.3)
        with pytest.raises(errors.TimedOut):
            step.run(SLEEP)
        step.abort()


# ---------------------------------------------------------------- Ctrl-C


def interrupted(call: Callable[[], object], after: float = 0.5) -> float:
    """How long a call continues after a Ctrl-C, in seconds."""
    with soon(ctrl_c, after) as when:
        with pytest.raises(KeyboardInterrupt):
            call()
        return time.monotonic() - when[0]


def at_once(call: Callable[[], object]) -> bool:
    """Other programs may delay this one, so several attempts are allowed."""
    times: list[float] = []
    while len(times) < 5 and min(times, default=1.0) > 0.2:
        times.append(interrupted(call))
        # Whatever else is running.
        assert times[-1] < 3
    print(f"left after {min(times) * 1000:.0f} ms", file=sys.stderr)
    return min(times) <= 0.2


def test_ctrl_c_leaves_a_call_to_an_engine_that_hangs_at_once(tmp_path: Path) -> None:
    place = str(tmp_path / "silent.sock")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(place)
        silent.listen(8)
        assert at_once(lambda: Store(tmp_path / "root", Options(engine=f"unix://{place}")))


def test_ctrl_c_leaves_a_wait_for_another_build_at_once(store: Store) -> None:
    with begun(store, "taken") as step:
        assert at_once(lambda: store.begin("taken", "base"))
        step.abort()


def test_ctrl_c_ends_a_command_and_leaves_nothing(store: Store) -> None:
    def build() -> None:
        with begun(store, "long") as step:
            step.run(SLEEP)

    for _ in range(2):
        assert interrupted(build, 0.8) < 3
    assert not store.result("long")
    assert [name for name in on_engine(store.prefix) if "long" in name] == []


def test_ctrl_c_in_a_callback_ends_the_call(store: Store) -> None:
    def output(channel: Channel, piece: bytes) -> None:
        time.sleep(60)

    def build() -> None:
        with begun(store, "hangs") as step:
            step.run(["sh", "-c", "echo; sleep 60"], output)

    assert interrupted(build, 1) < 3
    assert not store.result("hangs")


def test_a_second_ctrl_c_changes_nothing(store: Store) -> None:
    def build() -> None:
        with begun(store, "long") as step:
            step.run(SLEEP)

    def thrice() -> None:
        for _ in range(3):
            ctrl_c()
            time.sleep(0.001)

    def patient() -> None:
        try:
            build()
        finally:
            # The last of them may arrive here.
            time.sleep(0.5)

    with pytest.raises(KeyboardInterrupt), soon(thrice):
        patient()
    store.complete_deletes(timeout=60)
    gc.collect()
    assert not store.result("long")


def test_a_signal_whose_handler_raises_nothing_ends_nothing(store: Store) -> None:
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = signal.signal(signal.SIGUSR1, note)
    try:
        with soon(lambda: os.kill(os.getpid(), signal.SIGUSR1), 0.3), begun(store, "goes-on") as step:
            began = time.monotonic()
            step.run(["sleep", "1"])
            # It was handled during the call, not after it.
            assert came
            assert time.monotonic() - began >= 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert store.result("goes-on")


def test_a_cancel_may_be_triggered_by_a_signal_handler(store: Store) -> None:
    cancel = Cancel()
    before = signal.signal(signal.SIGUSR1, lambda *_: cancel.trigger())
    try:
        with soon(lambda: os.kill(os.getpid(), signal.SIGUSR1)), pytest.raises(errors.Cancelled):
            store.build("long", lambda step: step.run(SLEEP), "base", cancel=cancel)
    finally:
        signal.signal(signal.SIGUSR1, before)


# ---------------------------------------------------------------- forks


def in_a_child(work: Callable[[], object]) -> None:
    """Runs `work` in a forked child, which must succeed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            gc.collect()
            code = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    deadline = time.monotonic() + 30
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert status == 0


def test_a_forked_child_is_refused_and_frees_nothing(store: Store, root: Path) -> None:
    cancel, lease, held = Cancel(), store.cache("c"), [begun(store, "step")]

    def child() -> None:
        refused: list[Callable[[], object]] = [
            lambda: store.result("base"),
            lambda: store.root,
            lambda: held[0].run(["true"]),
            lambda: held[0].abort(),
            lambda: lease.release(),
            lambda: cancel.trigger(),
            lambda: store.close(),
        ]
        for use in refused:
            with pytest.raises(errors.Closed, match="forked"):
                use()
        held.clear()
        with Store(root) as own:
            assert own.result("base")
            assert own.begin("base") is None

    in_a_child(child)
    # Everything is unchanged.
    with held[0] as step:
        step.run(["true"])
    assert store.result("step")
    lease.discard()
    assert not cancel.is_triggered()


def test_a_child_that_a_callback_forked_is_told_so(store: Store) -> None:
    seen: list[int] = []

    def output(channel: Channel, piece: bytes) -> None:
        child = os.fork()
        if child:
            seen.append(child)

    parent = os.getpid()
    with begun(store, "forks") as step:
        try:
            step.run(["echo"], output)
        except errors.Closed:
            if os.getpid() != parent:
                os._exit(42)
            raise
        finally:
            if os.getpid() != parent:
                os._exit(1)
    [child] = seen
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 42
    assert store.result("forks")
