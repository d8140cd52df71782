"""Shared by the tests: each test has its own root, which must leave nothing on the engine, checked with docker itself."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import docker_store
from docker_store import Step, Store

TOP = Path(__file__).resolve().parents[3]


def docker(*arguments: str) -> list[str]:
    said = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60).stdout
    return said.split()


def on_engine(prefix: str) -> list[str]:
    """Lists the objects on the engine with a prefix."""
    images = docker("image", "ls", "--format", "{{.Repository}}", "--filter", f"reference={prefix}-*")
    containers = docker("ps", "-a", "--filter", f"name={prefix}-", "--format", "{{.Names}}")
    return images + containers + docker("volume", "ls", "-q", "--filter", f"name={prefix}-")


@pytest.fixture(scope="session")
def base_tar() -> str:
    return os.environ["DOCKER_STORE_TEST_BASE"]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "root"
    with Store(place) as store:
        prefix = store.prefix
    yield place
    # A step or a lease that a traceback references stays open until the traceback is freed.
    gc.collect()
    if place.exists():
        remains = docker_store.destroy(place, timeout=60)
        assert [row for row in remains if not row.removed] == []
    assert on_engine(prefix) == []


@pytest.fixture
def store(root: Path, base_tar: str) -> Iterator[Store]:
    """A store with the result "base"."""
    with Store(root) as opened:
        built = opened.build("base", lambda step: step.import_tar(base_tar))
        assert built == docker_store.Outcome.BUILT
        yield opened
        opened.complete_deletes(timeout=60)


def begun(store: Store, id: str, base: str | None = "base") -> Step:
    step = store.begin(id, base)
    assert step is not None
    return step


@contextmanager
def soon(do: Callable[[], object], after: float = 0.5) -> Iterator[list[float]]:
    """Does something after a delay, in another thread, and reports when that was."""
    when: list[float] = []

    def run() -> None:
        when.append(time.monotonic())
        do()

    timer = threading.Timer(after, run)
    timer.start()
    try:
        yield when
    finally:
        timer.join()


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
