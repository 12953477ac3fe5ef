"""`linkd init [DIR]`: the flights example, ready to run."""

from __future__ import annotations

import shlex
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from linkd.app.cli.options import JsonOption, QuietOption, VerboseOption
from linkd.errors import StorageFailed, UsageFault

EXAMPLE = ("flights.yaml", "clean.py", "data/flights.csv.zip", "data/airlines.csv")
"""The files of `linkd/app/example`: a pipeline of one program and one query, and the flights that left New York in January 2013 (public data
of the US Bureau of Transportation Statistics, from the R package nycflights13)."""
PIPELINE_FILE = EXAMPLE[0]


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it is not there; `.` is the directory you are in.")] = Path(
        "flights"
    ),
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make the flights example, ready to run.

    Writes flights.yaml, clean.py and the data of one month; nothing that is there is overwritten. No network is needed.
    """
    others = any(directory.glob("*.y*ml")) if directory.is_dir() else False
    made = make_example(directory)
    run = f"linkd run {PIPELINE_FILE}" if others else "linkd run"
    following = run if directory == Path() else f"cd {shlex.quote(str(directory))} && {run}"
    if json:
        from linkd.app.cli.terminal import print_json

        print_json({"directory": str(directory), "files": [str(path) for path in made], "next": following})
    elif not quiet:
        print(f"made {', '.join(EXAMPLE)} in {directory.resolve() if verbose or directory == Path() else directory}")
        print(f"next: {following}")
        if find_spec("pandas") is None:
            print("  clean.py needs pandas, which is not installed: pip install pandas")


def make_example(directory: Path) -> list[Path]:
    """Writes the example and returns its files. Raises UsageFault, having written nothing, if one of them is there; StorageFailed."""
    wanted = [directory / name for name in EXAMPLE]
    _check_place(directory, wanted)
    packed = files("linkd.app") / "example"
    try:
        for name, path in zip(EXAMPLE, wanted, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, packed.joinpath(*name.split("/")))
    except FileExistsError as error:
        raise UsageFault(f"{error.filename} was made by somebody else meanwhile: choose another directory, linkd init DIR") from error
    except OSError as error:
        raise StorageFailed(f"{error.filename or directory} cannot be written: {error.strerror}; choose another directory") from error
    return wanted


def _check_place(directory: Path, wanted: list[Path]) -> None:
    if directory.exists() and not directory.is_dir():
        raise UsageFault(f"{directory} is a file: name a directory, linkd init DIR")
    taken = next((path for path in wanted if path.exists() or path.is_symlink()), None)
    if taken is not None:
        raise UsageFault(f"{taken} is there already, and nothing is overwritten: choose another directory, linkd init DIR")


def _write(path: Path, packed: Traversable) -> None:
    with path.open("xb") as file:
        file.write(packed.read_bytes())
