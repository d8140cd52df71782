"""The wheel has the right platform tag, and the README's programs work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import TOP, on_engine

WHEEL = os.environ.get("DOCKER_STORE_TEST_WHEEL", "")


@pytest.mark.skipif(not WHEEL, reason="scripts/python makes the wheel")
def test_the_wheel_has_the_library_and_names_the_systems_that_it_runs_on() -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        names = set(wheel.namelist())
    assert {"docker_store/libdocker_store.so", "docker_store/py.typed", "docker_store/__init__.py"} <= names
    _, _, python, abi, platform = Path(WHEEL).stem.rsplit("-", 4)
    assert (python, abi) == ("py3", "none")
    said = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", WHEEL], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    # Checked with a tool that is independent of setup.py.
    judged = re.findall(r'"((?:many|musl)linux_\w+)"', said)
    assert judged
    assert platform == judged[0]


def snippets() -> list[str]:
    page = (TOP / "bindings/python/README.md").read_text()
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def test_the_programs_of_the_readme_work(tmp_path: Path, base_tar: str) -> None:
    assert len(snippets()) >= 3
    program = "\n".join(snippets())
    # They build in the current directory, on a base in that directory.
    (tmp_path / "base.tar").symlink_to(base_tar)
    end = "\nfrom docker_store import Store as _Store, destroy as _destroy\nprint(_Store('store').prefix)\n_destroy('store')\n"
    run = subprocess.run(
        [sys.executable, "-c", program + end], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "hello" in run.stdout
    assert on_engine(run.stdout.split()[-1]) == []
    assert not (tmp_path / "store").exists()
