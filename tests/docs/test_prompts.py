"""The page of prompts is what the table of prompts says."""

from actors.mcp_front.protocol.prompts_reference import reference
from tests.docs.documents import read


def test_the_page_of_prompts_is_what_the_table_says() -> None:
    said = "python -m actors.mcp_front.protocol.prompts_reference > docs/reference/prompts.md"
    assert read("docs/reference/prompts.md") == reference(), f"run: {said}"
