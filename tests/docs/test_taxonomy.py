"""The reference of failures shows the taxonomy as it is."""

from ratchet.analysis import TAXONOMY
from tests.docs.documents import read, section


def test_every_class_of_errors_is_described_as_the_table_has_it() -> None:
    described = section(read("docs/reference/failures.md"), "What an analysis says")

    for row in TAXONOMY.values():
        meaning = f"{row.meaning[0].upper()}{row.meaning[1:]}."
        again = f"{'yes' if row.retryable else 'no'}: {row.reason}"
        assert f"| `{row.name}` | {meaning} | {again} | {row.suggestion} |" in described
