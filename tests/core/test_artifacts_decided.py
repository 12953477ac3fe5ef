"""What is decided about artifacts: names, lists, parts, and who goes when room is short."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.artifact_references import ATTRIBUTE, attribute_of, check_file_name, file_of, references_of
from linkd.core.artifacts import Candidate, Uses, digest_of, excess_bytes, going, is_worth_copying, part_of, pieces
from linkd.core.file_lists import FileList, ListedFile, check_path, file_list
from linkd.errors import InvalidArgument, ValueTooLarge
from linkd.limits import ARTIFACT_CHUNK_BYTES, ARTIFACT_LEASE_S, ARTIFACT_NAME_MAX_BYTES, ARTIFACT_REFERENCES_MAX
from linkd.model.artifacts import ArtifactReference

DIGEST = bytes(range(32))
NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@given(
    st.lists(
        st.builds(
            ArtifactReference,
            st.binary(min_size=32, max_size=32),
            st.integers(0, 2**63 - 1),
            NAMES | st.just(""),
            st.text(max_size=10),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_a_value_names_is_read_as_it_was_written(references: list[ArtifactReference]) -> None:
    said = attribute_of(references)
    assert list(references_of(said)) == references
    assert file_of(said) == (references[0] if len(references) == 1 and references[0].name else None)


@pytest.mark.parametrize(
    "said",
    [
        *("", "{", "{}", "[]", "[1]", "[[]]", "null", "[" * 100_000),
        '[{"digest":"00","size":1}]',
        f'[{{"digest":"{DIGEST.hex()}"}}]',
        f'[{{"digest":"{DIGEST.hex()}","size":-1}}]',
        f'[{{"digest":"{DIGEST.hex()}","size":true}}]',
        f'[{{"digest":"{DIGEST.hex()}","size":1.5}}]',
        f'[{{"digest":"{DIGEST.hex()}","size":1,"name":"../x"}}]',
        f'[{{"digest":"{DIGEST.hex()}","size":1,"name":7}}]',
        f'[{{"digest":"{DIGEST.hex()}","size":1,"type":[]}}]',
        json.dumps([{"digest": DIGEST.hex(), "size": 1}] * (ARTIFACT_REFERENCES_MAX + 1)),
    ],
)
def test_what_names_nothing_that_can_be_is_refused(said: str) -> None:
    if said:
        with pytest.raises(InvalidArgument):
            references_of({ATTRIBUTE: said})
    else:
        assert references_of({ATTRIBUTE: said}) == references_of({}) == ()


def test_a_value_names_no_more_than_its_envelope_holds() -> None:
    with pytest.raises(ValueTooLarge, match="at most"):
        attribute_of([ArtifactReference(DIGEST, 1)] * (ARTIFACT_REFERENCES_MAX + 1))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\\b", "a\0b", "a\nb", "x" * (ARTIFACT_NAME_MAX_BYTES + 1)])
def test_a_path_is_no_name_of_a_file(name: str) -> None:
    with pytest.raises(InvalidArgument):
        check_file_name(name)


@given(st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.booleans(), max_size=6))
def test_equal_directories_have_equal_lists(found: dict[str, bool]) -> None:
    files = [ListedFile(path, len(path), DIGEST, executable) for path, executable in found.items()]
    above = {path[:at] for path in found for at, char in enumerate(path) if char == "/"}
    if above & set(found):
        with pytest.raises(InvalidArgument):
            FileList(tuple(files)).encoded()
        return
    encoded = FileList(tuple(files), ("~empty",)).encoded()
    assert encoded == FileList(tuple(reversed(files)), ("~empty",)).encoded()
    read = file_list(encoded)
    assert sorted(read.files, key=lambda one: one.path) == sorted(files, key=lambda one: one.path)
    assert read.size_bytes == sum(one.size_bytes for one in files)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.", "a\\b", "a\0"])
def test_no_path_leads_out_of_its_directory(path: str) -> None:
    with pytest.raises(InvalidArgument):
        check_path(path)
    said = {"linkd": "directory", "version": 1, "folders": [], "files": [{"path": path, "size": 1, "digest": DIGEST.hex()}]}
    with pytest.raises(InvalidArgument):
        file_list(json.dumps(said).encode())
    with pytest.raises(InvalidArgument):
        file_list(json.dumps({**said, "files": [], "folders": [path]}).encode())


def test_a_list_of_another_version_or_with_a_path_twice_is_refused() -> None:
    for said in (
        {"linkd": "directory", "version": 2, "folders": [], "files": []},
        {"linkd": "directory", "version": 1, "folders": ["a", "a"], "files": []},
    ):
        with pytest.raises(InvalidArgument):
            file_list(json.dumps(said).encode())


@given(
    st.integers(0, 10 * ARTIFACT_CHUNK_BYTES),
    st.integers(-5, 10 * ARTIFACT_CHUNK_BYTES),
    st.none() | st.integers(0, 11 * ARTIFACT_CHUNK_BYTES),
)
def test_a_part_is_cut_where_its_pieces_begin(size_bytes: int, start: int, end: int | None) -> None:
    stop = size_bytes if end is None else end
    if not 0 <= start <= stop <= size_bytes:
        with pytest.raises(InvalidArgument):
            part_of(size_bytes, start, end)
        return
    cut = list(pieces(*part_of(size_bytes, start, end)))
    assert [piece[0] for piece in cut] == ([start] + [piece[1] for piece in cut[:-1]] if cut else [])
    assert (cut[-1][1] if cut else start) == stop
    assert all(first // ARTIFACT_CHUNK_BYTES == (last - 1) // ARTIFACT_CHUNK_BYTES for first, last in cut)


def test_what_is_no_digest_is_refused() -> None:
    assert digest_of(DIGEST.hex()) == DIGEST
    for text in ("", "00", "zz" * 32, DIGEST.hex() + "00", "../../etc/passwd"):
        with pytest.raises(InvalidArgument):
            digest_of(text)


def test_as_much_goes_as_is_needed_and_somewhat_more() -> None:
    assert excess_bytes(50, 50, 100) == 0
    assert excess_bytes(60, 50, 100) == 10 + 5
    candidates = [Candidate(bytes([number]), 10, number) for number in range(5)]
    assert going(candidates, lambda one: one.use == 1, 15) == [candidates[0], candidates[2]]
    assert is_worth_copying(49, 100)
    assert not is_worth_copying(50, 100)


@given(st.lists(st.tuples(st.sampled_from(["use", "wait", "pin"]), st.integers(1, 400)), max_size=30))
def test_what_was_in_hand_a_moment_ago_stays_as_a_model_says(steps: list[tuple[str, int]]) -> None:
    uses, now_s, used_s, numbers = Uses(), 0.0, dict[int, float](), itertools.count()
    pinned: set[int] = set()
    blocks = []
    for step, amount in steps:
        if step == "wait":
            now_s += amount
        elif step == "use":
            used_s[uses.next(now_s)] = now_s
        else:
            number = next(numbers)
            block = uses.pinned(bytes([number]))
            block.__enter__()
            blocks.append(block)
            pinned.add(number)
    stays = uses.staying(now_s)
    for number, at_s in used_s.items():
        stayed = stays(Candidate(b"some", 1, number))
        if now_s - at_s <= ARTIFACT_LEASE_S:
            assert stayed
        if now_s - at_s > ARTIFACT_LEASE_S + 2:
            assert not stayed
    assert all(stays(Candidate(bytes([number]), 1, 0)) for number in pinned)
    for block in blocks:
        block.__exit__(None, None, None)
    assert not any(uses.staying(now_s)(Candidate(bytes([number]), 1, 0)) for number in pinned)
