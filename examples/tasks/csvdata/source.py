"""Finding a CSV file and reading it row by row.

A file is a path, or the name of a data set: `large_dataset.csv`, which lies beside the tasks, or one that the
`vega_datasets` package ships (`seattle-weather.csv`, `airports.csv`, …). The package itself is not imported: that would
import pandas, which nothing here needs.
"""

import csv
import difflib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

Record = tuple[int, list[str]]

_OWN = Path(__file__).parents[2] / "data"


class SourceError(ValueError):
    """The file cannot be found or is not text."""


def find_file(file: str) -> Path:
    """The file that `file` names.

    Raises:
        SourceError: There is no such file; the message names the data sets there are.
    """
    path = Path(file).expanduser()
    if path.is_file():
        return path.resolve()
    shipped = shipped_files()
    if file in shipped:
        return shipped[file]
    near = difflib.get_close_matches(file, list(shipped), n=1)
    hint = (
        f"did you mean {near[0]!r}?" if near else f"give a path, or one of: {', '.join(sorted(shipped)) or 'none here'}"
    )
    raise SourceError(f"no file {file!r} (from {Path.cwd()}); {hint}")


def shipped_files() -> dict[str, Path]:
    """The data sets by name: those beside the tasks, and those of `vega_datasets` where it is installed."""
    spec = importlib.util.find_spec("vega_datasets")
    folders = [_OWN] if spec is None or spec.origin is None else [_OWN, Path(spec.origin).parent / "_data"]
    return {path.name: path for folder in folders for path in sorted(folder.glob("*.csv"))}


def read_records(path: Path) -> Iterator[Record]:
    """Every record with the number of the line it ends on, the header first; blank lines are left out.

    Raises:
        SourceError: The file is not UTF-8 text, or its quoting is broken.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            for fields in reader:
                if fields:
                    yield reader.line_num, fields
        except UnicodeDecodeError as error:
            raise SourceError(f"{path.name} is not UTF-8 text: {error.reason} after line {reader.line_num}") from error
        except csv.Error as error:
            raise SourceError(f"{path.name}, line {reader.line_num}: {error}") from error
