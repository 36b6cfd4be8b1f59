"""What can be used is described: commands and their options, tools and their arguments, failures, messages."""

import json
import re
from typing import Any

import pytest
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from actors.mcp_front.tools.table import TOOLS
from ipc import calls, codec, credit, envelope, errors, incoming, outbox, serving
from ratchet import messages
from ratchet.access import ACCESS
from ratchet.cli.app import build
from ratchet.cli.exits import ExitCode
from ratchet.models import Category
from tests.docs.documents import ROOT, read, section

EVERYWHERE = {"--config", "--data-dir", "--json", "--help"}


def commands() -> dict[str, TyperCommand]:
    group = get_command(build())
    assert isinstance(group, TyperGroup)
    found = dict(group.commands)
    for outer, inner in group.commands.items():
        if isinstance(inner, TyperGroup):
            found |= {f"{outer} {name}": one for name, one in inner.commands.items()}
    return {name: one for name, one in found.items() if isinstance(one, TyperCommand)}


def procedures() -> list[messages.Procedure[Any, Any] | messages.StreamProcedure[Any, Any]]:
    rows = vars(messages).values()
    return [one for one in rows if isinstance(one, (messages.Procedure, messages.StreamProcedure))]


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_is_described_with_all_its_options(name: str) -> None:
    command, page = commands()[name], read("docs/reference/cli.md")
    heading = next((line[4:] for line in page.splitlines() if line.startswith(f"### `ratchet {name}")), "")
    described = section(page, heading)
    options = {option for parameter in command.params if isinstance(parameter, TyperOption)
               for option in parameter.opts + parameter.secondary_opts if option.startswith("--")}  # fmt: skip
    assert described.strip()
    assert sorted(option for option in options - EVERYWHERE if f"`{option}" not in described) == []


def test_no_command_is_described_that_does_not_exist() -> None:
    headings = re.findall(r"^### `ratchet ([a-z -]*[a-z])", read("docs/reference/cli.md"), re.MULTILINE)
    assert set(headings) == commands().keys()


def test_every_exit_code_of_a_command_is_described() -> None:
    codes = section(read("docs/reference/cli.md"), "Exit codes")
    assert [code for code in ExitCode if f"| {int(code)} |" not in codes] == []


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_tool_is_described_with_all_its_arguments(name: str) -> None:
    schema, described = TOOLS[name].input_schema, section(read("docs/reference/tools.md"), name)
    assert described.strip()
    assert [one for one in schema["properties"] if f"`{one}`" not in described] == []
    assert [one for one in schema.get("required", []) if f"`{one}`\\*" not in described] == []


def test_what_a_tool_is_said_to_return_is_in_its_schema() -> None:
    page = read("docs/reference/tools.md")
    for name, tool in TOOLS.items():
        returned = section(page, name).partition("Returns ")[2].partition("\n\n")[0]
        known = json.dumps(tool.output_schema)
        unknown = [one for one in re.findall(r"`([a-z_]+)`", returned) if f'"{one}"' not in known and one not in TOOLS]
        assert (name, unknown) == (name, [])


def test_every_category_of_failure_is_described() -> None:
    page = read("docs/reference/failures.md")
    assert [category for category in Category if f"| `{category.value}` |" not in page] == []


def test_every_procedure_is_described_as_it_is() -> None:
    page = read("docs/reference/wire-messages.md").splitlines()
    rows = {line.split("|")[1].strip(" `"): line for line in page if line.startswith("| `") and line.count("|") == 6}
    assert rows.keys() == {one.name for one in procedures()}
    for one in procedures():
        assert f"`{one.request.__name__}`" in rows[one.name]
        if isinstance(one, messages.StreamProcedure):
            assert f"`{one.item.__name__}` | stream |" in rows[one.name]
        else:
            assert (f"`{one.reply.__name__}`" in rows[one.name]) is not one.event
        assert ("every actor" if one.role == "*" else one.role) in rows[one.name]


def test_every_procedure_may_be_called_by_somebody() -> None:
    def may_be_called(one: messages.Procedure[Any, Any] | messages.StreamProcedure[Any, Any]) -> bool:
        return any(
            one.name.startswith(prefix) and (role == one.role or "*" in (role, one.role)) for _, role, prefix in ACCESS
        )

    assert [one.name for one in procedures() if not may_be_called(one)] == []


# --- the wire protocol -------------------------------------------------------------------------------------------

WIRE = "docs/reference/wire-protocol.md"


def test_every_kind_of_envelope_is_described_with_its_number_and_class() -> None:
    rows = [line.split(" | ")[:3] for line in section(read(WIRE), "Kinds").splitlines() if line.startswith("| ")][1:]
    described = {(name.strip("| "), number, kind) for name, number, kind in rows}
    classes = {kind: "control" if kind in envelope.CONTROL else "data" for kind in envelope.Kind}
    assert described == {(kind.name.lower(), str(kind.value), of) for kind, of in classes.items()}


def test_the_elements_of_an_envelope_are_described_in_their_order() -> None:
    elements = ", ".join(["version", *envelope.Envelope._fields])
    assert f"    [{elements}]\n" in read(WIRE)


def test_every_code_of_messaging_is_described() -> None:
    described = set(re.findall(r"^\| `([a-z_]+)` \|", section(read(WIRE), "Error codes"), re.MULTILINE))
    leaves = {one.code for one in errors.IpcError.__subclasses__() if one is not errors.RemoteError}
    assert described == leaves


def test_every_counter_of_messaging_is_described() -> None:
    described = section(read(WIRE), "Counters")
    source = "".join(path.read_text() for path in (ROOT / "ipc").glob("*.py"))
    counted = set(re.findall(r'counters\["([a-z.]+)"', source)) | set(
        re.findall(r'_cancel\(running, "([a-z.]+)"', source)
    )
    plain = {one for one in counted if one.partition(".")[0] not in ("dropped", "unreachable")}
    assert len(plain) >= 14
    assert [one for one in sorted(plain) if f"`{one}`" not in described] == []


def test_the_limits_of_the_protocol_are_what_is_said_of_them() -> None:
    page = read(WIRE)
    limits = section(page, "Limits")
    megabyte = 1024 * 1024
    assert f"{envelope.BODY_BYTES_MAX // megabyte} MiB (4 MiB of payload" in limits
    assert credit.ITEM_BYTES_MAX == envelope.BODY_BYTES_MAX
    for number in (
        codec.BATCH_ENVELOPES_MAX,
        envelope.KEY_BYTES_MAX,
        envelope.NAME_CHARS_MAX,
        envelope.TRACE_CHARS_MAX,
        outbox.ENVELOPES_MAX,
        outbox.CONTROL_ENVELOPES_MAX,
        calls.OUTSTANDING_MAX,
        incoming.STREAMS_MAX,
        serving.RUNNING_MAX,
        codec.ERROR_MESSAGE_CHARS_MAX,
    ):
        assert f"{number:,}" in limits, number
    streams = section(page, "Streams")
    assert f"at most {credit.WINDOW_ITEMS} items" in streams
    assert f"fewer than {credit.WINDOW_BYTES // 1024} KiB" in streams
    assert f"{incoming.ACK_SECONDS:g} s since the last ack" in streams
    assert f"{serving.SILENCE_SECONDS:g} s without credit or ack" in streams
    assert f"it waits {incoming.OPEN_SECONDS:g} s for one" in streams
