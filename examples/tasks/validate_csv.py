"""The first step of the pipeline: is this file a table, and what is in it?"""

from pathlib import Path

from csvdata.schema import ColumnGuess, Schema, duplicates, fits
from csvdata.source import Record, SourceError, find_file, read_records
from pydantic import BaseModel

from ratchet import Context, task

_PROGRESS_EVERY = 500


class Problem(BaseModel):
    """Something wrong with the file."""

    line: int | None = None
    column: str | None = None
    message: str


class Validation(BaseModel):
    """What `validate-csv` found.

    Attributes:
        errors: The first problems, at most `max_errors`.
        error_count: How many there are.
        detected_schema: None where the file could not be read as a table.
    """

    valid: bool
    file: str
    rows: int = 0
    errors: list[Problem]
    error_count: int
    detected_schema: Schema | None = None


@task(tags=["pipeline"], idempotent=True)
def validate_csv(file: str, max_errors: int = 20, *, ctx: Context) -> Validation:
    """Check that a CSV file is a table, and detect what its columns hold.

    Args:
        file: A path, or the name of a data set that the vega_datasets package ships, such as seattle-weather.csv.
        max_errors: How many problems to name.
    """
    path = find_file(file)
    ctx.log.info("reading", file=str(path), bytes=path.stat().st_size)
    try:
        with ctx.span("read", file=path.name):
            records = list(read_records(path))
    except SourceError as error:
        return Validation(valid=False, file=str(path), errors=[Problem(message=str(error))], error_count=1)
    problems, schema = _check(records, path, ctx)
    for problem in problems[:max_errors]:
        ctx.log.warning(problem.message, line=problem.line, column=problem.column)
    rows = max(0, len(records) - 1)
    ctx.log.info("checked", rows=rows, errors=len(problems))
    return Validation(
        valid=not problems,
        file=str(path),
        rows=rows,
        errors=problems[:max_errors],
        error_count=len(problems),
        detected_schema=schema,
    )


def _check(records: list[Record], path: Path, ctx: Context) -> tuple[list[Problem], Schema | None]:
    if len(records) < 2:
        return [Problem(message=f"{path.name} has {'only a header' if records else 'nothing in it'}")], None
    (line, header), body = records[0], records[1:]
    problems = [Problem(line=line, column=name, message="two columns have this name") for name in duplicates(header)]
    problems += [Problem(line=line, message="a column has no name") for name in header if not name.strip()]
    with ctx.span("detect", columns=len(header)):
        schema = _detect(header, body)
    with ctx.span("check", rows=len(body)):
        for done, record in enumerate(body, start=1):
            problems += _check_record(record, schema)
            if done % _PROGRESS_EVERY == 0 or done == len(body):
                ctx.progress(done, len(body), f"{done} of {len(body)} rows checked")
    return problems, schema


def _detect(header: list[str], body: list[Record]) -> Schema:
    guesses = [ColumnGuess(name) for name in header]
    for _line, fields in body:
        for guess, value in zip(guesses, fields, strict=False):
            guess.add(value)
    return Schema(columns=[guess.column() for guess in guesses])


def _check_record(record: Record, schema: Schema) -> list[Problem]:
    line, fields = record
    columns = schema.columns
    if len(fields) != len(columns):
        return [Problem(line=line, message=f"{len(fields)} fields where the header has {len(columns)}")]
    return [
        Problem(line=line, column=column.name, message=f"{value!r} is no {column.type}")
        for value, column in zip(fields, columns, strict=True)
        if not fits(value, column)
    ]
