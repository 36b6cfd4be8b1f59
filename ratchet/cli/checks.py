"""What `ratchet doctor` looks at in the installation: Python, packages, foreign modules, the system.

Each check is one function that says what it found and, where that is bad, what to do. The project's checks are in
`project_checks`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ratchet import process

PYTHON_MIN = (3, 11)
DISTRIBUTION = "ratchet-mcp"
IMPORT_SECONDS_MAX = 60.0

# Distribution and the module it is imported as.
PACKAGES: Mapping[str, str] = {
    "aiosqlite": "aiosqlite",
    "jsonschema-rs": "jsonschema_rs",
    "mcp": "mcp",
    "msgpack": "msgpack",
    "psutil": "psutil",
    "pydantic": "pydantic",
    "pyyaml": "yaml",
    "pyzmq": "zmq",
    "rich": "rich",
    "structlog": "structlog",
    "typer": "typer",
    "uvicorn": "uvicorn",
}
OWN_MODULES = ("ratchet", "ipc", "actors", "supervisor")

Outcome = Literal["ok", "failed", "warning", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        outcome: `skipped` where it does not apply.
        found: What there is.
        advice: What to do about it; empty where there is nothing to do.
    """

    name: str
    outcome: Outcome
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Imports:
    """What a fresh interpreter of ours can import: the version or place of each module, or the error."""

    versions: Mapping[str, str]
    places: Mapping[str, str]
    errors: Mapping[str, str]


_PROBE = """
import importlib, importlib.metadata, importlib.util, json, sys
packages, own = json.loads(sys.argv[1])
versions, places, errors = {}, {}, {}
for distribution, module in packages.items():
    try:
        importlib.import_module(module)
        versions[distribution] = importlib.metadata.version(distribution)
    except Exception as error:
        errors[distribution] = f"{type(error).__name__}: {error}"
for module in own:
    try:
        spec = importlib.util.find_spec(module)
        places[module] = "" if spec is None else spec.origin or next(iter(spec.submodule_search_locations or [""]))
    except Exception as error:
        errors[module] = f"{type(error).__name__}: {error}"
print(json.dumps([versions, places, errors]))
"""


def probe_imports(
    python: str = sys.executable, packages: Mapping[str, str] = PACKAGES, own: Sequence[str] = OWN_MODULES
) -> Imports:
    """What `python -P` imports, as the supervisor's process would.

    Raises:
        OSError: The interpreter cannot be started.
        subprocess.SubprocessError: It failed, or took too long.
    """
    answer = subprocess.run(  # noqa: S603 - the interpreter is ours or the configuration's
        [python, "-P", "-c", _PROBE, json.dumps([packages, own])],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=IMPORT_SECONDS_MAX,
    )
    return Imports(*json.loads(answer.stdout.splitlines()[-1]))


def check_python(version: tuple[int, int, int] = sys.version_info[:3]) -> Check:
    """The interpreter's version."""
    found = ".".join(map(str, version))
    if version[:2] >= PYTHON_MIN:
        return Check("python", "ok", f"{found} ({sys.executable})")
    needed = ".".join(map(str, PYTHON_MIN))
    return Check("python", "failed", found, f"install Ratchet into an environment with Python {needed} or newer")


def check_packages(imports: Imports, requirements: Mapping[str, str]) -> list[Check]:
    """One line if all is well, else one a package that is missing, broken or too old."""
    bad: list[Check] = []
    for distribution in PACKAGES:
        install = f'{sys.executable} -m pip install "{distribution}{requirements.get(distribution, "")}"'
        if distribution in imports.errors:
            bad.append(Check(f"package {distribution}", "failed", imports.errors[distribution], install))
        elif not _satisfies(imports.versions[distribution], requirements.get(distribution, "")):
            found = f"{imports.versions[distribution]}, needed {requirements[distribution]}"
            bad.append(Check(f"package {distribution}", "failed", found, install))
    versions = ", ".join(f"{name} {version}" for name, version in imports.versions.items())
    return bad or [Check("packages", "ok", versions)]


def requirements() -> dict[str, str]:
    """Version ranges that this distribution asks for; empty where it is not installed as one."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return {}
    found = (re.fullmatch(r"([A-Za-z0-9._-]+)\s*([^;]*)", line) for line in lines)
    return {match[1].lower(): match[2].strip() for match in found if match}


def _satisfies(version: str, wanted: str) -> bool:
    """Whether `version` is in a range of `>=` and `<` parts."""
    have = _release(version)
    for part in filter(None, (part.strip() for part in wanted.split(","))):
        match = re.fullmatch(r"(>=|<)\s*([\d.]+)", part)
        if match and (have < _release(match[2])) == (match[1] == ">="):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in numbers[0].split(".")) if numbers else ()


def check_modules(imports: Imports, home: Path) -> list[Check]:
    """Whether our generic names (`ipc`, `actors`, `supervisor`) are really ours: they must lie in `home`."""
    foreign: list[Check] = []
    for module in OWN_MODULES:
        place = imports.places.get(module, "")
        if place and Path(place).resolve().is_relative_to(home):
            continue
        found = f"is imported from {place}" if place else imports.errors.get(module, "cannot be found")
        advice = (
            f"another package owns the name {module!r}: install Ratchet into an environment of its own "
            "(pipx, uv tool, or a new venv)"
        )
        foreign.append(Check(f"module {module}", "failed", found, advice))
    return foreign or [Check("modules", "ok", f"{', '.join(OWN_MODULES)} in {home}")]


def check_system() -> list[Check]:
    """What the kernel has to offer, so that nothing outlives its parent."""
    if not process.LINUX:
        found = f"{sys.platform}: no subreapers, no PDEATHSIG; children that detach themselves may outlive a crash"
        return [Check("system", "warning", found, "use Linux where nothing may ever be left behind")]
    tries: dict[str, Callable[[], Any]] = {
        "pidfd": lambda: os.close(os.pidfd_open(os.getpid())),
        "subreaper": process.become_subreaper,
        "/proc": lambda: Path("/proc/self/stat").read_bytes(),
    }
    return [_try(name, attempt) for name, attempt in tries.items()]


def _try(name: str, attempt: Callable[[], Any]) -> Check:
    try:
        attempt()
    except (OSError, AttributeError) as error:
        return Check(name, "failed", str(error), "needs Linux 5.4 or newer with /proc, and no filter that denies it")
    return Check(name, "ok", "available")
