"""Patches HTTP libraries when they are imported; none is imported for it, so a task without requests pays nothing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from types import MappingProxyType, ModuleType
from typing import Any

from ratchet.runtime.http_spans import aiohttp_sessions, http_client, httpx_transports, urllib3_pools
from ratchet.runtime.http_spans.calls import HttpCalls, Shield
from ratchet.runtime.recorder import Recorder

Patch = Callable[[ModuleType, HttpCalls], None]

_PATCHES: Mapping[str, Patch] = MappingProxyType(
    {
        "http.client": http_client.patch,
        "urllib3": urllib3_pools.patch,
        "httpx": httpx_transports.patch,
        "httpx2": httpx_transports.patch,
        "aiohttp": aiohttp_sessions.patch,
    }
)


def install(recorder: Recorder, shield: Shield) -> None:
    """Record the requests of whatever run is in progress. Call it once in a process."""
    calls = HttpCalls(recorder, shield)
    for name in _PATCHES:
        if name in sys.modules:
            _apply(sys.modules[name], calls)
    sys.meta_path.insert(0, _AfterImport(calls))


def _apply(module: ModuleType, calls: HttpCalls) -> None:
    try:
        _PATCHES[module.__name__](module, calls)
    except Exception:  # noqa: BLE001 - a version of the library that looks otherwise works as it is, without spans
        return


class _AfterImport(MetaPathFinder):
    """Finds nothing by itself: lets the others find, and patches what their loader has executed."""

    def __init__(self, calls: HttpCalls) -> None:
        self._calls = calls

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """The spec of a library that is patched; None for everything else."""
        if fullname not in _PATCHES:
            return None
        for finder in sys.meta_path:
            find: Any = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(fullname, path, target)
            if spec is not None:
                self._patch_after(spec.loader)
                return spec
        return None

    def _patch_after(self, loader: object) -> None:
        """Only loaders that are made for one module: others would be changed for their other modules too."""
        if not isinstance(loader, (SourceFileLoader, SourcelessFileLoader)):
            return
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            execute(module)
            _apply(module, self._calls)

        loader.exec_module = exec_module
