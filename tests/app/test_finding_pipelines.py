"""Which pipeline file is meant: the one that is named, the one that is here, or that of the nearest parent."""

from pathlib import Path

import pytest
from flights_file import GOOD

from linkd.app.pipeline_file import find_pipeline, load_pipeline
from linkd.errors import PipelineFileInvalid, UsageFault


def test_a_file_that_is_not_there_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "flights.yaml").write_text(GOOD)
    with pytest.raises(PipelineFileInvalid) as caught:
        load_pipeline(tmp_path / "flihgts.yaml")
    assert str(caught.value) == f"{tmp_path}/flihgts.yaml: there is no such file; did you mean `flights.yaml`?"


def test_a_directory_is_told_with_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "flights.yaml").write_text(GOOD)
    with pytest.raises(PipelineFileInvalid) as caught:
        load_pipeline(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a directory, not a pipeline file\n  did you mean `{tmp_path}/flights.yaml`?"


def test_the_one_pipeline_here_is_found(tmp_path: Path) -> None:
    (tmp_path / "flights.yml").write_text(GOOD)
    (tmp_path / "settings.yaml").write_text("name: other\njobs:\n  pipeline: no\n")
    (tmp_path / ".hidden.yaml").write_text(GOOD)
    (tmp_path / "ci.yaml").write_text("pipeline:\n  build: {}\n")
    assert find_pipeline(tmp_path) == tmp_path / "flights.yml"
    assert find_pipeline(tmp_path / "flights.yml") == tmp_path / "flights.yml"


def test_a_pipeline_with_errors_in_it_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "flights.yaml").write_bytes(b"pipeline: flights\n\twiring: [\xff\n")
    assert find_pipeline(tmp_path) == tmp_path / "flights.yaml"


def test_the_pipeline_of_the_nearest_parent_is_found(tmp_path: Path) -> None:
    (tmp_path / "flights.yaml").write_text(GOOD)
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_pipeline(tmp_path / "a" / "b") == tmp_path / "flights.yaml"


def test_several_pipelines_are_listed(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(UsageFault) as caught:
        find_pipeline(tmp_path)
    assert str(caught.value) == (
        f"there are several pipeline files in {tmp_path}:\n    {tmp_path}/a.yaml\n    {tmp_path}/b.yaml\n"
        f"  name one of them: linkd run {tmp_path}/a.yaml, or -p {tmp_path}/a.yaml with the verbs that look"
    )


def test_no_pipeline_anywhere_is_told_with_what_one_looks_like(tmp_path: Path) -> None:
    with pytest.raises(UsageFault) as caught:
        find_pipeline(tmp_path)
    assert str(caught.value) == (
        f"there is no pipeline file in {tmp_path} or above it\n"
        "  a pipeline file ends in .yaml and begins with `pipeline: NAME`; name it if it is elsewhere: "
        "linkd run FILE, or -p FILE with the verbs that look"
    )
