"""The zygote's script: `PYTHON -P zygote_main.py CHANNEL_FD`.

The interpreter may be one in which Ratchet is not installed, and Ratchet's own site-packages must not leak into it. So
the `ratchet` package this file lies in is loaded by its path; only pydantic and msgpack come from the interpreter.
"""

import gc
import importlib.util
import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib costs 4 ms here
EXIT_CONFIG = 78


def load_ratchet() -> None:
    """Make `ratchet` importable from its path, without its parent on sys.path."""
    spec = importlib.util.spec_from_file_location(
        "ratchet",
        f"{_PACKAGE}/__init__.py",
        submodule_search_locations=[_PACKAGE],
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no ratchet package at {_PACKAGE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["ratchet"] = module
    spec.loader.exec_module(module)


def main() -> int:
    """Load the zygote and run it. Returns the process's exit code."""
    gc.disable()  # what is imported stays; children turn it on again
    load_ratchet()
    try:
        from ratchet.runtime.zygote import run
    except ImportError as error:
        print(
            f"ratchet: {sys.executable} cannot run tasks: {error}. It needs Python >= 3.11 with pydantic and msgpack: "
            f"{sys.executable} -m pip install pydantic msgpack",
            file=sys.stderr,
        )
        return EXIT_CONFIG
    return run(int(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
