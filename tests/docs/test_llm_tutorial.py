"""The tutorial about asking an LLM does what it says, against its script, through a real supervisor."""

import re
from pathlib import Path

import yaml

from ratchet import errors
from tests.docs.documents import blocks, read
from tests.docs.test_snippets import Shell, lines
from tests.harness import folder_project

PAGE = "docs/tutorial/ask-an-llm.md"


def test_the_tutorial_about_asking_an_llm(tmp_path: Path) -> None:
    config = yaml.safe_load(blocks(PAGE, "yaml")[0].text)
    with folder_project(tmp_path / "letters", tasks={}, config=config) as project:
        for block in blocks(PAGE, "python"):
            if block.note:
                file = project.folder / block.note
                file.parent.mkdir(exist_ok=True)
                file.write_text(block.text)
        project.start()
        shell = Shell(project, project.folder)
        run, trace, fails, test = (shell.type(line) for line in lines(PAGE))

    assert '"urgent": true' in run.stdout, run.stderr
    assert "llm.complete" in trace.stdout
    assert fails.returncode != 0
    assert "LlmRateLimitedError" in fails.stderr
    assert test.returncode == 0, test.stdout


def test_every_error_of_an_llm_is_in_the_table_as_it_is() -> None:
    rows = re.findall(r"^\| `(Llm\w+)` \| .+ \| (yes|no) \|$", read(PAGE), re.MULTILINE)

    assert dict(rows) == {kind.__name__: "yes" if kind.retryable else "no" for kind in errors.LlmError.__subclasses__()}


def test_the_routes_of_the_guide_to_asking_the_caller_are_as_the_configuration_wants_them(tmp_path: Path) -> None:
    from ratchet.config import Config

    [block] = blocks("docs/how-to/ask-the-caller.md", "yaml")
    config = Config.model_validate({"data_dir": tmp_path, **yaml.safe_load(block.text)})

    assert config.llm.order == ("caller", "local")


def test_the_providers_of_the_tutorial_and_its_servers_are_as_the_configuration_wants_them(tmp_path: Path) -> None:
    from ratchet.config import Config

    _, providers, servers = (yaml.safe_load(block.text) for block in blocks(PAGE, "yaml"))
    config = Config.model_validate({"data_dir": tmp_path, **providers, **servers})

    assert config.llm.order == ("openai", "local")
    assert config.mcp.servers[0].reached_by == "stdio"
