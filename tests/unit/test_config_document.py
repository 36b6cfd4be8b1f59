"""Reading a YAML file with suspicion: what is refused, and that every message leads to the line."""

from pathlib import Path

import pytest

from ratchet.config.document import DEPTH_MAX, VALUES_MAX, Document, read_document
from ratchet.errors import ConfigError
from ratchet.project import CONFIG_BYTES_MAX


def read(tmp_path: Path, content: str | bytes) -> Document:
    path = tmp_path / "ratchet.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(path)


def refusal(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    return caught.value.message.removeprefix(f"{tmp_path}/")


def test_plain_data_comes_with_the_line_of_every_key(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\n\nb:\n  c: [x,\n    y]\n  d: yes\n")

    assert document.data == {"a": 1, "b": {"c": ["x", "y"], "d": True}}
    assert document.source.lines == {
        ("a",): 1,
        ("b",): 3,
        ("b", "c"): 4,
        ("b", "c", 0): 4,
        ("b", "c", 1): 5,
        ("b", "d"): 6,
    }
    assert document.source.line(("b", "c", 1, "no", "such")) == 5
    assert document.source.line(("nowhere",)) is None


@pytest.mark.parametrize("content", ["", "# only a comment\n", "---\n", "~\n", "\ufeff"])
def test_an_empty_file_says_nothing(content: str, tmp_path: Path) -> None:
    assert read(tmp_path, content).data == {}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffa: 1").data == {"a": 1}


def test_has_tells_given_keys_from_empty_ones(tmp_path: Path) -> None:
    document = read(tmp_path, "a: {b: 0, c: }")

    assert document.has("a", "b")
    assert not document.has("a", "c")
    assert not document.has("a", "b", "c")


def test_duplicate_keys_are_all_reported_with_both_lines(tmp_path: Path) -> None:
    said = refusal(tmp_path, "a: 1\nb:\n  c: 1\n  c: 2\na: 2\n")

    assert said.splitlines()[0] == "ratchet.yaml:1: a: given again on line 5, first on line 1; keep one of them"
    assert "ratchet.yaml:3: b.c: given again on line 4" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a\n", "ratchet.yaml:1: the file must be a mapping"),
        ("just text", "ratchet.yaml:1: the file must be a mapping"),
        ("a: 1\nb: \x07", "ratchet.yaml:2: '\\x07' is a character that YAML does not allow"),
        ("a:\n\tb: 1", "ratchet.yaml:2: while scanning for the next token, found character '\\t'"),
        ("a: 1\n---\nb: 2", "ratchet.yaml:2: expected a single document in the stream"),
        ("a: 'x\nb: 1\n", "(what it belongs to starts on line 1)"),
        ("a: {b: ${X}}", "put ${NAME} in quotes"),
        ("a: b: c", "ratchet.yaml:1: mapping values are not allowed here"),
        ("a: *b", "ratchet.yaml:1: found undefined alias 'b'"),
        ("? [a]\n: b", "ratchet.yaml:1: a key must be plain text"),
        ("a: &a {b: 1}\nc:\n  <<: *a", "ratchet.yaml:3: merge keys (<<) are not supported"),
        ("a: !!python/object/apply:os.system [x]", "ratchet.yaml:1: the tag"),
        ("a: !!python/name:os.system", "ratchet.yaml:1: the tag"),
        ("a: !secret x", "ratchet.yaml:1: the tag !secret is not supported"),
        ("a: !!set {b}", "ratchet.yaml:1: the tag"),
        ("a: 0b_", "ratchet.yaml:1: '0b_' is no int"),
        (f"a: {'9' * 6000}", "is no int"),
    ],
)
def test_what_no_configuration_holds_is_refused_with_its_line(content: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: \xff", "ratchet.yaml:2: byte 0xff is not UTF-8"),
        (b"\x7fELF\0\0", "this is a binary file"),
        ("a: 1".encode("utf-16"), "text in UTF-16"),
        (b"a" * (CONFIG_BYTES_MAX + 1), f"larger than {CONFIG_BYTES_MAX} bytes"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, content)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_document(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    "content",
    [
        f"a: [{'1,' * VALUES_MAX}]",
        "a: " + "[" * 100_000,
        "\n".join(f"{' ' * level}a:" for level in range(DEPTH_MAX + 2)),
        "a: &a [*a]",
        "a: &a\n  b: *a\n",
        # Ten levels of ten references each: ten thousand million values in 200 bytes.
        "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(10)),
    ],
    ids=["many values", "open brackets", "deep", "self in list", "self in mapping", "a bomb of aliases"],
)
def test_size_and_depth_are_bounded(content: str, tmp_path: Path) -> None:
    assert str(VALUES_MAX) in (said := refusal(tmp_path, content)) or f"{DEPTH_MAX} levels" in said


def test_an_alias_within_bounds_is_plain_data(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x [1, 2]\nb: *x\n").data == {"a": [1, 2], "b": [1, 2]}


def test_dates_and_numbers_meant_as_text_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "ratchet.yaml"
    path.write_text("a: 2024-99-99\nkey: 0123\n")

    assert read_document(path, as_text=lambda key: key == ("key",)).data == {"a": "2024-99-99", "key": "0123"}
