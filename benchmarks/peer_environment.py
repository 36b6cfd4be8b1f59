"""Environments for what Ratchet is compared with but does not depend on: each peer has one of its own under build/."""

import subprocess
import venv
from pathlib import Path

from benchmarks.processes import ROOT

_INSTALL_SECONDS = 900


def environment(peer: str, *requirements: str, module: str) -> Path:
    """The interpreter of a peer's environment, made at the first use.

    Args:
        peer: Its name, and its folder's.
        requirements: What is installed.
        module: What can be imported once that was done.

    Raises:
        RuntimeError: It cannot be installed here, so that its part is skipped.
    """
    folder = ROOT / "build" / "peers" / peer
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
    if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0:
        return python
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *requirements],
        capture_output=True,
        check=False,
        text=True,
        timeout=_INSTALL_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"skipped: {peer} cannot be installed here: {done.stderr.strip()[-500:]}")
    return python
