#!/usr/bin/env python3
"""Writes what the package has of the header: its functions, numbers and statuses. `make header` runs it.

generate.py [--check]    --check: only say whether what is there is what would be written
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = HERE.parents[1] / "include" / "docker_store.h"
PACKAGE = HERE / "src" / "docker_store"

# What a status is besides, for who catches Python's own.
ALSO = {"INVALID_ARGUMENT": "ValueError", "NOT_FOUND": "LookupError"}

NUMBERS = {
    "bool": "c_bool",
    "double": "c_double",
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "size_t": "c_size_t",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
}


def comment(text: str) -> str:
    return " ".join(word for word in text.split() if word != "*")


def split_name(text: str) -> tuple[str, str]:
    """`const char *id` is the type `const char *` and the name `id`."""
    text = " ".join(text.split())
    found = re.search(r"\w+$", text)
    assert found, text
    return text[: found.start()].strip(), found.group()


class Header:
    def __init__(self, text: str) -> None:
        self.version = tuple(int(re.findall(rf"define DSTORE_VERSION_{part} (\d+)", text)[0]) for part in ("MAJOR", "MINOR"))
        self.enums: dict[str, list[tuple[str, int, str]]] = {}
        self.abouts: dict[str, str] = {}
        for about, name, body in re.findall(r"/\*\*((?:(?!\*/).)*)\*/\s*enum (dstore_\w+)[^{]*\{(.*?)\n\};", text, re.DOTALL):
            self.abouts[name] = comment(about)
            values = re.findall(r"/\*\*((?:(?!\*/).)*)\*/\s*DSTORE_(\w+) = (\d+),", body, re.DOTALL)
            self.enums[name] = [(value, int(number), comment(said)) for said, value, number in values]
        self.callbacks = {
            name: [split_name(part)[0] for part in parameters.split(",")]
            for name, parameters in re.findall(r"typedef int32_t \(\*(dstore_\w+_callback)\)\(([^)]*)\);", text)
        }
        self.functions: dict[str, tuple[str, list[str]]] = {}
        bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).replace("DSTORE_MUST_USE\n", "")
        for before, parameters in re.findall(r"^(\w[\w *]*\bdstore_\w+)\(([^)]*)\);", bare, re.MULTILINE):
            returns, name = split_name(before)
            listed = [] if parameters.strip() == "void" else parameters.split(",")
            self.functions[name] = (returns, [split_name(part)[0] for part in listed])

    def kind(self, c: str, returned: bool = False, heard: bool = False) -> str:
        """A type of C as ctypes has it; what a callback `heard` is not to be cut at a zero byte."""
        if c == "const char *const *":
            return "POINTER(c_char_p)"
        c = c.removeprefix("const ")
        if c in self.callbacks:
            return c.removeprefix("dstore_").upper()
        if c in NUMBERS:
            return NUMBERS[c]
        if c in self.enums:
            return "c_int32"
        if c == "void" and returned:
            return "None"
        if c == "char *":
            return "c_void_p" if heard else "c_char_p"
        if c == "char **":
            # The place of text that is to be freed: it is not to become bytes by itself.
            return "POINTER(c_void_p)"
        if c == "void *" or (re.fullmatch(r"dstore_\w+ \*", c) and c[:-2] not in self.enums):
            return "c_void_p"
        if re.fullmatch(r"dstore_\w+ \*\*", c):
            return "POINTER(c_void_p)"
        return f"POINTER({self.kind(c.removesuffix('*').strip(), heard=heard)})"


def wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, 118, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def abi(header: Header) -> str:
    lines = [
        '"""The functions, callbacks and numbers of docker_store.h. Made by generate.py: do not change it here."""',
        "",
        "from __future__ import annotations",
        "",
        "from ctypes import (",
        "    CFUNCTYPE,",
        "    POINTER,",
    ]
    callbacks = [
        f"{header.kind(name)} = CFUNCTYPE(c_int32, {', '.join(header.kind(p, heard=True) for p in parameters)})"
        for name, parameters in header.callbacks.items()
    ]
    functions = [
        f'    "{name}": ({header.kind(returns, returned=True)}, [{", ".join(header.kind(p) for p in parameters)}]),'
        for name, (returns, parameters) in header.functions.items()
    ]
    used = set(re.findall(r"\bc_\w+", "\n".join(callbacks + functions)))
    lines += [f"    {name}," for name in sorted(used)]
    lines += [
        ")",
        "from typing import Any",
        "",
        "from ._numbers import Numbers",
        "",
        "# Of the header: a library of another major or (below 1.0) minor version is another ABI.",
        f"VERSION = {header.version}",
        "",
    ]
    for name, values in header.enums.items():
        common = values[0][0].split("_")[:-1]
        while common and not all(value.split("_")[: len(common)] == common for value, _, _ in values):
            common.pop()
        lines += ["", f"class {camel(name.removeprefix('dstore_'))}(Numbers):"]
        lines += [f'    """{header.abouts[name]}"""', ""]
        for value, number, said in values:
            lines += [wrapped(said, "    # "), f"    {'_'.join(value.split('_')[len(common) :])} = {number}"]
        lines += [""]
    lines += ["", *callbacks, ""]
    lines += [
        "# Of each function what it answers and what it takes.",
        "FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {",
    ]
    lines += [*functions, "}", ""]
    return "\n".join(lines)


def errors(header: Header) -> str:
    lines = [
        '"""Exceptions, one for each status that a call can fail with. Made by generate.py: do not change it here."""',
        "",
        "from __future__ import annotations",
        "",
        "from ._abi import Status",
        "from ._error import Error",
    ]
    failures = [(name, said) for name, number, said in header.enums["dstore_status"] if number != 0]
    for name, said in failures:
        bases = ", ".join(["Error", ALSO[name]] if name in ALSO else ["Error"])
        lines += ["", "", f"class {camel(name)}({bases}):"]
        lines += ['    """' + wrapped(said, "    ").lstrip()]
        lines[-1] += '"""'
    lines += ["", "", "OF_STATUS: dict[int, type[Error]] = {"]
    lines += [f"    Status.{name}: {camel(name)}," for name, _ in failures]
    lines += ["}", ""]
    return "\n".join(lines)


def main() -> int:
    header = Header(HEADER.read_text())
    stale = 0
    for name, text in (("_abi.py", abi(header)), ("errors.py", errors(header))):
        file = PACKAGE / name
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_text() != text:
                print(f"{name} is not what the header says: make header writes it anew", file=sys.stderr)
                stale = 1
        else:
            file.write_text(text)
    return stale


if __name__ == "__main__":
    sys.exit(main())
