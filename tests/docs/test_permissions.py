"""The page of permissions is what the table of tools says."""

from actors.mcp_front.tools.permissions_reference import reference
from tests.docs.documents import read


def test_the_page_of_permissions_is_what_the_table_says() -> None:
    said = "python -m actors.mcp_front.tools.permissions_reference > docs/reference/permissions.md"
    assert read("docs/reference/permissions.md") == reference(), f"run: {said}"
