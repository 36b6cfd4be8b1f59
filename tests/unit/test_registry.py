"""Who may connect as whom, and who is enrolled: decisions on what the head knows."""

from pathlib import Path

import pytest

from ipc.curve import KeyPair, key_text
from ratchet.bodies.nodes import NodeStatus
from ratchet.cluster.keyfile import own_keys
from ratchet.cluster.records import Node, TokenRecord
from ratchet.cluster.registry import Registry
from ratchet.cluster.versions import check_version
from ratchet.errors import RequestError, StartupError

NOW_NS = 1_000


def key() -> bytes:
    return KeyPair.generate().public


def node(name: str, public_key: bytes, status: NodeStatus = "enrolled") -> Node:
    return Node(name, key_text(public_key), status, "1.2.3", enrolled_ns=1)


def token(public_key: bytes, uses: int = 1, expires_ns: int = NOW_NS + 1) -> TokenRecord:
    return TokenRecord(key_text(public_key), uses, expires_ns)


def test_enrolled_and_drained_nodes_are_let_in_and_revoked_ones_are_not() -> None:
    good, tired, bad = key(), key(), key()
    registry = Registry([node("good", good), node("tired", tired, "draining"), node("bad", bad, "revoked")])
    assert [registry.admitted(one, NOW_NS) for one in (good, tired, bad, key())] == [True, True, False, False]
    assert [registry.heard(one) for one in (good, tired, bad, key())] == [True, True, False, False]


def test_tokens_let_in_until_they_are_used_up_or_expired_and_are_heard_out() -> None:
    fresh, used, expired = key(), key(), key()
    registry = Registry(tokens=[token(fresh), token(used, uses=0), token(expired, expires_ns=NOW_NS)])
    assert [registry.admitted(one, NOW_NS) for one in (fresh, used, expired)] == [True, False, False]
    assert registry.heard(used)  # whoever used it up waits for its answer


def test_names_go_with_keys() -> None:
    own, other, joining = key(), key(), key()
    registry = Registry([node("a", own), node("b", other)], [token(joining)])
    names = ["node:a", "worker:a.1", "node:b", "worker:1", "cli:1", "joiner:x"]
    assert [name for name in names if registry.admits(own, name)] == ["node:a", "worker:a.1"]
    assert [name for name in names if registry.admits(joining, name)] == ["joiner:x"]
    assert [name for name in names if registry.admits(None, name)] == ["worker:1", "cli:1"]
    assert [name for name in names if registry.admits(key(), name)] == []


def test_a_node_that_takes_the_place_of_a_revoked_one_leaves_nothing_to_the_old_key() -> None:
    old, new = key(), key()
    registry = Registry([node("a", old, "revoked")])
    assert registry.check_enrolment("a", new, "1.2.9", "1.2.3")
    registry.put(node("a", new))
    assert not registry.admitted(old, NOW_NS)
    assert registry.admits(new, "node:a")
    assert not registry.admits(old, "node:a")


def test_what_is_enrolled_already_is_not_enrolled_again() -> None:
    own = key()
    assert not Registry([node("a", own)]).check_enrolment("a", own, "1.2.3", "1.2.3")


@pytest.mark.parametrize(("theirs", "fits"), [("1.2.3", True), ("1.2.0", True), ("1.3.3", False), ("2.2.3", False)])
def test_versions_go_together_where_the_first_two_numbers_are_the_same(theirs: str, fits: bool) -> None:
    if fits:
        check_version("a", theirs, "1.2.3")
    else:
        with pytest.raises(RequestError, match=rf"runs Ratchet {theirs}, the head 1\.2\.3"):
            check_version("a", theirs, "1.2.3")


def test_a_key_file_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "cluster.key"
    assert own_keys(path) == own_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["cluster.key"]


def test_a_key_file_that_others_may_read_or_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.key"
    own_keys(path)
    path.chmod(0o640)
    with pytest.raises(StartupError, match="others may read"):
        own_keys(path)
    path.chmod(0o600)
    path.write_text("half a k")
    with pytest.raises(StartupError, match="holds no key"):
        own_keys(path)
    with pytest.raises(StartupError, match="cannot be used"):
        own_keys(tmp_path / "missing" / "cluster.key")


def test_without_curve_the_head_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratchet.cluster.keyfile.available", lambda: False)
    with pytest.raises(StartupError, match="CURVE, which the libzmq of this installation was built without"):
        own_keys(tmp_path / "cluster.key")
