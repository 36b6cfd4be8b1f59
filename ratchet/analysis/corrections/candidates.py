"""Every correction of the input that a failure speaks for, verified: best first, each once."""

import json
from collections.abc import Iterable, Iterator, Sequence

from ratchet.analysis.corrections import files, missing_keys, reported, successes, told
from ratchet.analysis.corrections.evidence import Evidence
from ratchet.analysis.corrections.patch import Fix, Verifier
from ratchet.analysis.corrections.schema_repair import repair
from ratchet.analysis.result import CONFIDENCES
from ratchet.models import JsonObject
from ratchet.redaction import REDACTED
from ratchet.secretnames import is_secret_name

_FIXES_MAX = 3


def input_fixes(evidence: Evidence) -> list[Fix]:
    """Corrections that make a valid input, those with the most confidence first; at most a few."""
    verifier = Verifier(evidence.given, evidence.schema)
    found: dict[str, Fix] = {}
    for fix in _candidates(evidence):
        key = json.dumps(fix.patch, sort_keys=True)
        if key not in found and not _touches_secrets(fix) and verifier.accepts(fix.patch):
            found[key] = fix
    return sorted(found.values(), key=lambda fix: CONFIDENCES.index(fix.confidence))[:_FIXES_MAX]


def _candidates(evidence: Evidence) -> Iterator[Fix]:
    given, path, texts, names = evidence.given, evidence.path, evidence.texts, evidence.names
    reports = reported.reports_of(evidence.failure, path)
    whole = (
        None if evidence.schema is None else repair(given, evidence.schema),
        reported.fix_reports(reports, given),
    )
    yield from (fix for fix in whole if fix is not None)
    if not reports:  # a part of what was reported would not be enough
        yield from told.clamped(texts, given)
        yield from told.renamed(texts, names, given)
        yield from files.found_elsewhere(path, names, given)
        yield from missing_keys.respelt(path, given)
    wanted = [*missing_keys.missing_keys(path), *_reported_missing(reports, given)]
    yield from successes.as_before(given, evidence.completed, wanted)


def _reported_missing(reports: Sequence[reported.Report], given: JsonObject) -> Iterable[str]:
    return (str(one.steps[-1]) for one in reported.missing(reported.locate(reports, given)))


def _touches_secrets(fix: Fix) -> bool:
    """Whether it would put something where a secret is, or a redacted text anywhere."""
    if REDACTED in json.dumps(fix.patch):
        return True
    return any(
        is_secret_name(str(operation["path"]).rpartition("/")[2]) for operation in fix.patch if "value" in operation
    )
