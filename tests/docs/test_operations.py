"""The page for operators has every counter that code can count, and no other."""

import re

from ipc.envelope import Kind
from ratchet.errors import LlmError
from tests.docs.documents import ROOT, read

PAGE = "docs/how-to/operate.md"
FROM_ERRORS = {"denied", "busy", "unreachable", "incompatible", "malformed"}  # codes with which the hub refuses


def counted_in_code() -> set[str]:
    places = [path for folder in ("ipc", "actors", "ratchet") for path in (ROOT / folder).rglob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in places)
    found = set(re.findall(r'\bcount(?:ers|ed)\["([a-z_.]+)"', source.replace("_count", "count")))
    found |= set(re.findall(r'_cancel\(running, "([a-z.]+)"', source))
    found |= set(re.findall(r'^ +"([a-z]+_dropped)": self\.', source, re.MULTILINE))
    found |= FROM_ERRORS | {error.code for error in (LlmError, *LlmError.__subclasses__())}
    return {f"{one.partition('.')[0]}.KIND" if of_a_kind(one) else one for one in found} | {"unreachable.KIND"}


def of_a_kind(counter: str) -> bool:
    before, dot, kind = counter.partition(".")
    return bool(dot) and before in ("dropped", "unreachable") and (kind == "answer" or kind.upper() in Kind.__members__)


def test_every_counter_is_explained_and_no_other() -> None:
    counters = read(PAGE).partition("\n## Counters\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", counters, re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert explained == counted_in_code()
