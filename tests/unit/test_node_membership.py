"""What a node keeps of the head that it joined, and how it finds the files that the head speaks of."""

from pathlib import Path

import pytest

from actors.node.code import Code
from ipc.curve import KeyPair
from ratchet.cluster.code import found_code, locate
from ratchet.cluster.membership import Membership, key_path, read_membership, write_membership
from ratchet.errors import ProjectError
from ratchet.runtime.versions import version_of


def test_what_is_kept_is_read_again_and_the_secret_key_is_in_its_own_file(tmp_path: Path):
    head = KeyPair.generate()
    assert read_membership(tmp_path) is None
    member = Membership("tcp://head:8091", "gpu1", head.public, tmp_path)
    write_membership(member)
    assert read_membership(tmp_path) == member
    keys = member.keys()
    assert keys.server_public == head.public
    assert member.keys().own == keys.own
    assert key_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert key_path(tmp_path).read_text().strip() not in member.path.read_text()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"head": "x", "node": "y", "head_public_key": "short"}'])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: str):
    (tmp_path / "node.json").write_text(content)
    with pytest.raises(ProjectError, match="join again with a new token"):
        read_membership(tmp_path)


def test_the_same_files_have_the_version_that_the_head_speaks_of(tmp_path: Path):
    for root in ("head", "node"):
        (tmp_path / root / "kit").mkdir(parents=True)
        (tmp_path / root / "report.py").write_text("x = 1\n")
        (tmp_path / root / "kit" / "deep.py").write_text("y = 1\n")
    head = [str(tmp_path / "head" / name) for name in ("report.py", "kit/deep.py")]
    names, roots = ["report.py", "kit/deep.py"], [tmp_path / "none", tmp_path / "node"]
    wanted = version_of(head, [str(tmp_path / "head")])
    assert found_code(names, roots).version == wanted
    (tmp_path / "node" / "kit" / "deep.py").unlink()
    assert found_code(names, roots).missing == ["kit/deep.py"]
    assert found_code(names, roots).version != wanted


def test_no_name_leads_out_of_the_task_folders(tmp_path: Path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "secret.py").write_text("")
    assert locate("../secret.py", [tmp_path / "tasks"]) is None
    assert locate(str(tmp_path / "secret.py"), [tmp_path / "tasks"]) is None


def test_what_was_asked_about_is_watched_and_so_is_what_could_take_its_place(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (second / "report.py").write_text("x = 1\n")
    code = Code([first, second])
    before = code.find(["report.py"])
    assert not code.changed()
    (first / "report.py").write_text("x = 2\n")
    assert code.changed()
    assert not code.changed()
    assert code.find(["report.py"]).version != before.version
    (second / "another.py").write_text("")
    assert code.changed()
