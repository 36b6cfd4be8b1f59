"""The second step of the pipeline: from many records to a few groups."""

import json
from pathlib import Path

from csvdata.schema import Schema
from csvdata.source import find_file, read_records
from csvdata.summary import Aggregate, Summarizer, Summary

from ratchet import Context, task

_PROGRESS_EVERY = 500


@task(tags=["pipeline"], idempotent=True)
def transform_data(
    file: str,
    schema: Schema,
    group_by: str | None = None,
    aggregate: Aggregate = "mean",
    save_as: str | None = None,
    *,
    ctx: Context,
) -> Summary:
    """Group a table's records and aggregate its numbers.

    Args:
        file: The file that validate-csv checked.
        schema: What validate-csv detected.
        group_by: The column that makes the groups; by default the first date (by month), else a text column.
        aggregate: What to compute over each group.
        save_as: A JSON file to write the result to as well.
    """
    path = find_file(file)
    with ctx.span("read", file=path.name):
        header, *body = read_records(path)
    names = [column.name for column in schema.columns]
    if header[1] != names:
        raise ValueError(f"the schema is of another file: it has {names}, {path.name} has {header[1]}")
    summarizer = Summarizer(schema, group_by)
    with ctx.span("group", rows=len(body)):
        for done, (line, fields) in enumerate(body, start=1):
            try:
                summarizer.add(fields)
            except (ValueError, IndexError) as error:
                raise ValueError(f"{path.name}, line {line} does not fit the schema; validate-csv says more") from error
            if done % _PROGRESS_EVERY == 0 or done == len(body):
                ctx.progress(done, len(body), f"{done} of {len(body)} rows grouped")
    summary = summarizer.summary(path.stem.replace("-", " ").title(), aggregate)
    ctx.log.info("grouped", by=summary.group_by, groups=len(summary.rows), records=len(body))
    if save_as is not None:
        target = Path(save_as).expanduser().resolve()
        target.write_text(json.dumps(summary.model_dump(), indent=2), encoding="utf-8")
        ctx.log.info("saved", path=str(target))
    return summary
