"""What the stations of a measuring network said: one figure after the other out of a larger table."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from csvdata.schema import MISSING
from csvdata.source import Record, SourceError, find_file, read_records, shipped_files
from pydantic import BaseModel

from ratchet import Context, task

_COLUMNS = ("time", "station", "temperature", "humidity")
_PROGRESS_EVERY = 500


class Station(BaseModel):
    """The temperatures of one station, in degrees Celsius."""

    station: str
    measurements: int
    missing: int
    lowest: float | None
    mean: float | None
    highest: float | None


class Processed(BaseModel):
    """What `data-processor` found."""

    file: str
    rows: int
    stations: list[Station]


@task(tags=["demo"], idempotent=True)
def data_processor(file: str, station: str | None = None, *, ctx: Context) -> Processed:
    """Summarise the temperatures that each station of a measuring network has recorded.

    Args:
        file: A path, or the name of a data set: large_dataset.csv has the columns time, station, temperature, humidity.
        station: Only this one; by default all.
    """
    path = _find(file, ctx)
    ctx.log.info("processing", file=str(path), bytes=path.stat().st_size)
    with ctx.span("read", file=path.name):
        header, *body = read_records(path)
    if tuple(header[1]) != _COLUMNS:
        raise SourceError(f"{path.name} holds no measurements: its columns are {', '.join(header[1])}")
    with ctx.span("group", rows=len(body)) as span:
        temperatures = _temperatures(body, ctx)
        span.set("stations", len(temperatures))
    with ctx.span("summarise"):
        stations = [_summary(name, temperatures[name]) for name in _chosen(station, sorted(temperatures), ctx)]
    ctx.log.info("processed", rows=len(body), stations=len(stations))
    return Processed(file=str(path), rows=len(body), stations=stations)


def _find(file: str, ctx: Context) -> Path:
    with ctx.span("find", file=file):
        try:
            return find_file(file)
        except SourceError:
            ctx.log.error("the data set is not there", file=file, data_sets=sorted(shipped_files()))
            raise


def _temperatures(body: Sequence[Record], ctx: Context) -> dict[str, list[float | None]]:
    """Every station's temperatures, None where one is missing."""
    found: dict[str, list[float | None]] = {}
    for done, (_line, (_time, station, temperature, _humidity)) in enumerate(body, start=1):
        found.setdefault(station, []).append(None if temperature in MISSING else float(temperature))
        if done % _PROGRESS_EVERY == 0 or done == len(body):
            ctx.progress(done, len(body), f"{done} of {len(body)} measurements read")
    return found


def _chosen(station: str | None, stations: Sequence[str], ctx: Context) -> Iterator[str]:
    if station is None:
        yield from stations
    elif station in stations:
        yield station
    else:
        ctx.log.error("the station is unknown", station=station, stations=list(stations))
        raise ValueError(f"no station {station!r}; there are {', '.join(map(repr, stations))}")


def _summary(station: str, temperatures: Sequence[float | None]) -> Station:
    known = [one for one in temperatures if one is not None]
    return Station(
        station=station,
        measurements=len(temperatures),
        missing=len(temperatures) - len(known),
        lowest=min(known, default=None),
        mean=round(sum(known) / len(known), 2) if known else None,
        highest=max(known, default=None),
    )
