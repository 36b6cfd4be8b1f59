"""`ratchet doctor`: is everything there that Ratchet needs, and what to do where it is not."""

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import typer

from ratchet.cli import checks
from ratchet.cli.checks import Check
from ratchet.cli.exits import ExitCode
from ratchet.cli.options import ConfigOption, DataDirOption, JsonOption, Scope, scope
from ratchet.cli.render import Block, Piece, line
from ratchet.errors import RatchetError

_MARKS = {
    "ok": Piece("✓ ", "green"),
    "failed": Piece("✗ ", "bold red"),
    "warning": Piece("! ", "yellow"),
    "skipped": Piece("- ", "dim"),
}


def doctor(
    ctx: typer.Context,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the installation and the project.

    Says what to do about what is wrong; the exit code is 1 if anything is.
    """
    here = scope(ctx, config, data_dir, as_json=as_json)
    found: list[Check] = []
    for check in _all(here):
        found.append(check)
        if not here.as_json:
            here.terminal.show(check_blocks(check))
    failed = sum(check.outcome == "failed" for check in found)
    if here.as_json:
        here.terminal.show_json({"ok": not failed, "checks": [dataclasses.asdict(check) for check in found]})
    else:
        here.terminal.show([_verdict(failed)])
    raise typer.Exit(ExitCode.FAILED if failed else ExitCode.OK)


def check_blocks(check: Check) -> list[Block]:
    """A check in one line, and what to do below it."""
    blocks: list[Block] = [line(_MARKS[check.outcome], Piece(f"{check.name}: ", "bold"), check.found)]
    if check.advice:
        blocks.append(line(Piece(f"  → {check.advice}", "yellow" if check.outcome != "skipped" else "dim")))
    return blocks


def _verdict(failed: int) -> Block:
    if failed:
        return line(Piece(f"{failed} check{'' if failed == 1 else 's'} failed", "bold red"))
    return line(Piece("all is well", "bold green"))


def _all(here: Scope) -> Iterator[Check]:
    yield checks.check_python()
    yield from _installation()
    yield from checks.check_system()
    try:
        project = here.project
    except RatchetError as error:
        yield Check("project", "failed", error.message)
        return
    # It loads the configuration's model, which no other command needs.
    from ratchet.cli.project_checks import check_project

    yield from check_project(project)


def _installation() -> Iterator[Check]:
    try:
        imports = checks.probe_imports()
    except (OSError, subprocess.SubprocessError) as error:
        yield Check("packages", "failed", f"a fresh interpreter cannot be asked: {error}", "reinstall Ratchet")
        return
    yield from checks.check_packages(imports, checks.requirements())
    yield from checks.check_modules(imports, Path(checks.__file__).resolve().parents[2])
