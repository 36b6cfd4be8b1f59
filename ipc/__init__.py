"""Bidirectional messaging between processes on one machine: calls, events and liveness through one hub.

This package only hands names on.
"""

from ipc.access import AccessTable
from ipc.envelope import Envelope, Kind
from ipc.errors import IpcError
from ipc.liveness import Liveness

__all__ = ["AccessTable", "Envelope", "IpcError", "Kind", "Liveness"]
