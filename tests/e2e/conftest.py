"""Pipelines in directories of their own, run by the real command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from linkd.testing.flights import write_flights
from linkd.testing.pipelines import PipelineDirectory, make_pipeline

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights"


class MakePipeline(Protocol):
    """The text of a pipeline file (`pipeline: NAME` first) and the files beside it, as a directory to run `linkd` in."""

    def __call__(self, text: str, files: Mapping[str, str | bytes] | None = None) -> PipelineDirectory: ...


class MakeDemo(Protocol):
    """The pipeline of examples/flights in `path`, over the files in `data`."""

    def __call__(self, path: Path, data: Path) -> PipelineDirectory: ...


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakePipeline]:
    """Makes pipelines; what their runs left behind is ended with the test."""
    with ExitStack() as made:

        def make_one(text: str, files: Mapping[str, str | bytes] | None = None) -> PipelineDirectory:
            pipeline = make_pipeline(tmp_path, text, files)
            made.callback(pipeline.close)
            return pipeline

        yield make_one


@pytest.fixture(scope="session")
def flights_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `flights.csv.zip` (20,000 rows: one value) and `airlines.csv`."""
    directory = tmp_path_factory.mktemp("flights_small")
    write_flights(directory)
    return directory


@pytest.fixture(scope="session")
def flights_in_values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 140,000 narrow rows: three values, so that there is something between the first and the last."""
    directory = tmp_path_factory.mktemp("flights_in_values")
    write_flights(directory, rows=140_000, columns=("dep_time", "carrier", "flight", "distance"))
    return directory


@pytest.fixture(scope="session")
def demo() -> MakeDemo:
    """Makes the pipeline of examples/flights as it stands, in a directory, over the files in another."""

    def make_demo(path: Path, data: Path) -> PipelineDirectory:
        files: dict[str, str | bytes] = {"clean.py": (EXAMPLE / "clean.py").read_bytes()}
        for name in ("flights.csv.zip", "airlines.csv"):
            files[f"data/{name}"] = (data / name).read_bytes()
        text = (EXAMPLE / "flights.yaml").read_text(encoding="utf-8")
        return make_pipeline(path, text[text.index("pipeline:") :], files)

    return make_demo
