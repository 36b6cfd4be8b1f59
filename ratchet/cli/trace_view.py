"""How a trace looks: one line a span, its bar in the time of the whole, ◆ where the end waited for it."""

from collections.abc import Sequence

from ratchet.bodies.telemetry import SpanPage
from ratchet.cli.execution_view import STATUS_STYLES
from ratchet.cli.quantities import duration
from ratchet.cli.render import Block, Line, Piece, heading, line, one_line
from ratchet.models import Execution
from ratchet.trace import PathStep, Trace, WaterfallRow, bottlenecks, build, critical_path, waterfall

_PLAIN_BAR = 40  # columns of the bars where there is no terminal to fill
_BAR_MIN = 10
_NAME_SHARE = 0.45  # of the terminal, at most
_DURATION = 12
_MARK = "◆ "
_BAR_STYLES = {"ok": "green", "error": "red", "unset": "cyan"}
_STEPS_MAX = 8
_SLOWEST_MAX = 3


def trace_blocks(execution: Execution, page: SpanPage, *, width: int | None) -> list[Block]:
    """The waterfall, the critical path, and where most time went.

    Args:
        execution: Whose trace it is.
        page: Its spans.
        width: Columns of the terminal; None where lines may be as long as they are.
    """
    found = build(page.spans)
    blocks: list[Block] = [_headline(execution, found, page)]
    if not page.spans:
        if execution.spans_pruned_ns is not None:
            return [*blocks, line(Piece("no spans: they were removed, as `retention.spans` says", "dim"))]
        why = "was not traced" if not execution.trace else "has no spans" if execution.status.terminal else "runs"
        return [*blocks, line(Piece(f"no spans: the execution {why}", "dim"))]
    blocks += [line(), *_waterfall(waterfall(found), found.total_ms, width)]
    if page.total > len(page.spans):
        blocks.append(line(Piece(f"… {page.total - len(page.spans):,} more spans are not shown", "dim")))
    steps = critical_path(found)
    blocks += [line(), heading("critical path"), *_path(steps, found.total_ms), line(), heading("most time spent in")]
    for one in bottlenecks(found, _SLOWEST_MAX):
        times = f" ({one.count} times)" if one.count > 1 else ""
        blocks.append(line(f"  {duration(one.self_ms):>10}  {one.share:>4.0%}  {one_line(one.name)}{times}"))
    return blocks


def _headline(execution: Execution, found: Trace, page: SpanPage) -> Line:
    return line(
        Piece(execution.task_id, "bold"),
        f"  {execution.execution_id}  ",
        Piece(execution.status, STATUS_STYLES[execution.status]),
        f"  {duration(found.total_ms)}  {page.total} span{'' if page.total == 1 else 's'}" if page.spans else "",
    )


def _waterfall(rows: Sequence[WaterfallRow], total_ms: float, width: int | None) -> list[Block]:
    names = ["  " * row.depth + one_line(row.name) for row in rows]
    name_width = max(len(name) for name in names)
    bar_width = _PLAIN_BAR
    if width is not None:
        name_width = min(name_width, max(_BAR_MIN, int(width * _NAME_SHARE)))
        bar_width = max(_BAR_MIN, width - len(_MARK) - name_width - _DURATION - 2)
    return [_row(row, _fit(name, name_width), total_ms, bar_width) for row, name in zip(rows, names, strict=True)]


def _row(row: WaterfallRow, name: str, total_ms: float, width: int) -> Line:
    style = _BAR_STYLES.get(row.status, "cyan")
    before, length = bar(row.offset_ms, row.duration_ms, total_ms, width)
    return line(
        Piece(_MARK if row.critical else "  ", "bold yellow"),
        Piece(name, "bold red" if row.status == "error" else ""),
        " " + " " * before,
        Piece(("█" if row.critical else "▒") * length, style),
        " " * (width - before - length) + " ",
        f"{duration(row.duration_ms):>{_DURATION - 2}}",
        Piece(" ✗" if row.status == "error" else "", "red"),
    )


def bar(offset_ms: float, duration_ms: float, total_ms: float, width: int) -> tuple[int, int]:
    """Columns before a bar and columns of it: at least one, and never beyond `width`."""
    if total_ms <= 0:
        return 0, width
    before = min(width - 1, int(offset_ms / total_ms * width))
    end = max(before + 1, min(width, round((offset_ms + duration_ms) / total_ms * width)))
    return before, end - before


def _fit(name: str, width: int) -> str:
    return name.ljust(width) if len(name) <= width else name[: width - 1] + "…"


def _path(steps: Sequence[PathStep], total_ms: float) -> list[Block]:
    shown = sorted(sorted(steps, key=lambda step: -step.contribution_ms)[:_STEPS_MAX], key=lambda step: step.offset_ms)
    blocks: list[Block] = [
        line(
            f"  {duration(step.contribution_ms):>10}  "
            f"{step.contribution_ms / total_ms if total_ms else 0:>4.0%}  {one_line(step.name)}"
        )
        for step in shown
    ]
    if len(steps) > len(shown):
        blocks.append(line(Piece(f"  … {len(steps) - len(shown)} shorter steps", "dim")))
    return blocks
