"""Puts the shared library into the wheel, and sets the wheel's platform tag. `make python` runs it with pip.

DOCKER_STORE_LIBRARY    the library to include (default: target/release/libdocker_store.so in the top directory)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

TOP = Path(__file__).resolve().parents[2]
LIBRARY = Path(os.environ.get("DOCKER_STORE_LIBRARY", TOP / "target/release/libdocker_store.so"))

# Libraries that every Linux with such a C library has (PEP 600).
ALWAYS_THERE = re.compile(r"lib(c|m|dl|rt|util|pthread|gcc_s)\.so\.\d+|ld-linux.*|libc\.musl-.*")


def version() -> str:
    """Returns the version of the library, which is defined only in Cargo.toml."""
    cargo = (TOP / "Cargo.toml").read_text()
    found = re.search(r'^\[package\].*?^version *= *"(.*?)"', cargo, re.MULTILINE | re.DOTALL)
    assert found, "Cargo.toml has no version"
    return found.group(1)


def platform() -> str:
    """Returns the platform tag of the wheel, from the newest version of the C library that the library requires."""
    ours = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if not ours.startswith("linux"):
        return ours
    machine = ours.removeprefix("linux_")
    said = subprocess.run(["readelf", "-dV", LIBRARY], check=True, capture_output=True, text=True).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", said)
    foreign = [name for name in needed if not ALWAYS_THERE.fullmatch(name)]
    if foreign:
        raise SystemExit(f"{LIBRARY} needs libraries that not every Linux has: {', '.join(foreign)}")
    if any("musl" in name for name in needed):
        return f"musllinux_1_2_{machine}"
    asked = [tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", said)]
    # No older versions exist for 64 bits, and pip does not know any.
    major, minor = max(*asked, (2, 17))
    return f"manylinux_{major}_{minor}_{machine}"


class Wheel(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # Nothing in it is compiled for one version of Python.
        return "py3", "none", platform()


class Build(build_py):
    def run(self) -> None:
        super().run()
        if not LIBRARY.exists():
            raise SystemExit(f"{LIBRARY} does not exist: run make first")
        shutil.copy(LIBRARY, Path(self.build_lib) / "docker_store" / "libdocker_store.so")


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(version=version(), cmdclass={"bdist_wheel": Wheel, "build_py": Build}, distclass=WithLibrary)
