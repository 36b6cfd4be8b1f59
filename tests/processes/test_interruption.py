"""A signal at the worst moment: on every line of the code that looks for cancel requests."""

import subprocess
import sys

import pytest

SECONDS_MAX = 20

SCRIPT = """
import signal, sys
from ratchet.channel import Channel, pair
from ratchet.runtime.inbox import Inbox
from ratchet.runtime.interruption import Cancelled, Interruptions

worst = int(sys.argv[1])
ours, theirs = pair()
inbox = Inbox(Channel(theirs))
seen = []

def trace(frame, event, argument):
    if event == "line" and frame.f_code is Inbox.cancels.__code__:
        seen.append(frame.f_lineno)
        if len(seen) == worst:
            signal.raise_signal(signal.SIGUSR1)
    return trace

def looking():
    interruptions.arm("run-1")
    interruptions.check()

interruptions = Interruptions(inbox, looking.__code__)
interruptions.install()
Channel(ours).send("cancel", {"execution_id": sys.argv[2], "reason": "enough"})
sys.settrace(trace)
try:
    looking()
    print("ran")
except Cancelled as error:
    print("cancelled", error)
sys.settrace(None)
interruptions.armed = None
Channel(ours).send("run", {})
print(inbox.next()[0], len(seen) >= worst)
"""


@pytest.mark.parametrize(("cancelled", "ends"), [("run-1", "cancelled enough"), ("run-2", "ran")])
def test_a_signal_while_cancels_are_looked_for_loses_nothing_and_waits_for_nothing(cancelled: str, ends: str) -> None:
    reached = True
    moment = 0
    while reached:
        moment += 1
        command = [sys.executable, "-c", SCRIPT, str(moment), cancelled]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
        verdict, last = done.stdout.splitlines()
        assert verdict == ends
        assert last.split()[0] == "run"
        reached = last.endswith("True")
    assert moment > 4, "the signal was raised on several lines"
