"""The package uses every function of the header, except those listed here."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

from conftest import TOP

import docker_store
from docker_store import _abi, errors

# Functions that the package does not call, and why.
LEFT_OUT = {
    "dstore_error_status": "the call has answered the same",
    "dstore_store_begin": "begin_following without a callback does the same",
    "dstore_store_build": "begin and commit, so that the work's exceptions are Python's own",
    "dstore_command_arg": "the words come all at once",
    "dstore_host_files_include": "exclude with a leading ! does the same",
}
# Of functions with two forms, the form with limits is used.
WITHIN = "_within takes limits, and does the same without any"


def called() -> set[str]:
    text = "".join(file.read_text() for file in Path(docker_store.__file__).parent.glob("*.py") if file.name != "_abi.py")
    handles = re.findall(r'Handle\("(\w+)"', text)
    return set(re.findall(r"\bdstore_\w+", text)) | {f"dstore_{kind}_free" for kind in handles}


def test_every_function_is_called_or_left_out_for_a_reason() -> None:
    symbols = set((TOP / "abi/symbols.txt").read_text().split())
    assert set(_abi.FUNCTIONS) == symbols
    uses = called() & symbols
    left_out = set(LEFT_OUT)
    twins = {name for name in symbols - uses if f"{name}_within" in uses}
    assert sorted(symbols - uses - twins - left_out) == [], WITHIN
    assert sorted(left_out & uses) == [], "called after all"


def test_numbers_are_those_of_the_abi() -> None:
    values = dict(line.split() for line in (TOP / "abi/values.txt").read_text().splitlines())
    kinds = [kind for kind in vars(_abi).values() if isinstance(kind, type) and issubclass(kind, IntEnum) and len(kind)]
    ours = [(member.name, int(member)) for kind in kinds for member in kind]
    numbers = {name: int(value) for name, value in values.items() if name.startswith("DSTORE_")}
    assert sorted(number for _, number in ours) == sorted(numbers.values())
    for name, number in ours:
        assert any(known.endswith(name) and value == number for known, value in numbers.items()), name


def test_every_status_has_an_exception_of_its_own() -> None:
    lines = (TOP / "abi/values.txt").read_text().splitlines()
    statuses = {}
    for line in lines:
        name, value = line.split()
        if name == "DSTORE_HIT":
            break
        statuses[name.removeprefix("DSTORE_")] = int(value)
    del statuses["OK"]
    assert {name: int(_abi.Status[name]) for name in statuses} == statuses
    assert set(errors.OF_STATUS) == set(statuses.values())
    classes = set(errors.OF_STATUS.values())
    assert len(classes) == len(statuses)
    assert all(issubclass(kind, docker_store.Error) for kind in classes)


def test_a_number_that_a_later_library_has_is_no_end() -> None:
    unknown = docker_store.Status(999)
    assert (int(unknown), unknown.name) == (999, "UNKNOWN_999")


def test_the_library_is_the_one_in_the_package() -> None:
    beside = Path(docker_store.__file__).with_name("libdocker_store.so")
    assert beside.exists()
    assert str(beside) in Path("/proc/self/maps").read_text()
    assert docker_store.version() in (TOP / "Cargo.toml").read_text()
