"""The pipeline file: finding it, reading it and the SQL files it names, and saying all that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from linkd import limits
from linkd.app.secrets import secret_problem
from linkd.app.yaml_document import line_origins, read_yaml
from linkd.core.assembly import assemble, check
from linkd.core.declaration import read_declaration
from linkd.core.declared import Declaration, Knowledge
from linkd.core.diagnostics import Problem, render_problems, with_suggestion
from linkd.core.document import Text
from linkd.core.pipeline import Pipeline
from linkd.core.sql_parameters import sql_parameters, unknown_parameter
from linkd.core.substitution import Surroundings, pasted_parameters
from linkd.core.wiring import ParsedWiring, Wiring, parse_wiring
from linkd.errors import PipelineFileInvalid, UsageFault
from linkd.model.frozen import frozen

_SUFFIXES = (".yaml", ".yml")
_PIPELINE_KEY = re.compile(r"""^(?:\{\s*)?(?:pipeline|"pipeline"|'pipeline')[ \t]*:[ \t]*[^\s#{\[&]""", re.MULTILINE)


@frozen()
class Settings:
    """With what a pipeline is to run: `params` as the command line said them (`-s year=2014`), and the environment.

    With `environ` of None it is not to run here, but only looked at: variables stay as written, and neither they nor secrets need be set.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] | None = None


def load_pipeline(path: Path, settings: Settings | None = None) -> Pipeline:
    """The pipeline that a file describes, with parameters and variables put in; secrets stay as written (`app.secrets`).

    Raises `PipelineFileInvalid` if it is not there, cannot be read, or does not say what it must; the message shows every problem with
    place, line, caret and remedy. Programs and data files that it names are not looked for; SQL files are read. Without `settings` it is
    only looked at, with the parameters of the file.
    """
    document = read_yaml(_read_text(path))
    if document.root is None:
        raise _invalid(document.problems, path, document.lines)
    declaration = read_declaration(document.root, _knowledge(settings), document.lines)
    parsed = _wiring(declaration, document.lines)
    absolute = path.absolute()
    problems = [*document.problems, *check(declaration, parsed, directory=str(absolute.parent))]
    statements = _read_statements(declaration, absolute.parent, problems)
    if problems:
        raise _invalid(problems, path, document.lines)
    return assemble(declaration, parsed.wiring, statements, path=str(absolute), directory=str(absolute.parent))


def find_pipeline(start: Path) -> Path:
    """The one pipeline file at `start`, a directory, or in the nearest parent that has any; `start` itself if it is a file.

    A pipeline file is one ending in .yaml or .yml with `pipeline: NAME` at its top level. Raises `UsageFault` if there is none, or several.
    """
    if start.is_file():
        return start
    if not start.is_dir():
        raise _not_there(start)
    for directory in (start, *start.absolute().parents):
        found = [path for path in _yaml_files(directory) if _names_pipeline(path)]
        if len(found) == 1:
            return found[0]
        if found:
            names = "".join(f"\n    {path}" for path in found)
            raise UsageFault(
                f"there are several pipeline files in {directory.absolute()}:{names}\n"
                f"  name one of them: linkd run {found[0]}, or -p {found[0]} with the verbs that look"
            )
    raise UsageFault(
        f"there is no pipeline file in {start.absolute()} or above it\n"
        "  a pipeline file ends in .yaml and begins with `pipeline: NAME`; name it if it is elsewhere: "
        "linkd run FILE, or -p FILE with the verbs that look"
    )


def _wiring(declaration: Declaration, lines: Sequence[str]) -> ParsedWiring:
    if declaration.wiring is None:
        return ParsedWiring(Wiring(), (), is_complete=True)
    origins = line_origins(declaration.wiring, lines)
    if isinstance(origins, Problem):
        return ParsedWiring(Wiring(), (origins,), is_complete=False)
    return parse_wiring(declaration.wiring.value, origins)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(limits.PIPELINE_FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _not_there(path) from None
    except IsADirectoryError:
        files = [file.name for file in _yaml_files(path) if _names_pipeline(file)]
        remedy = f"\n  did you mean `{path / files[0]}`?" if files else "\n  name the file itself"
        raise PipelineFileInvalid(f"{path}: is a directory, not a pipeline file{remedy}") from None
    except OSError as error:
        raise PipelineFileInvalid(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > limits.PIPELINE_FILE_MAX_BYTES:
        bound = limits.PIPELINE_FILE_MAX_BYTES // limits.MIB
        raise PipelineFileInvalid(f"{path}: is over {bound} MiB, more than a pipeline file may have\n  is it a data file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"{path}:{line}: byte {error.start + 1} of the file, 0x{content[error.start]:02x}, is not UTF-8"
        raise PipelineFileInvalid(f"{what}\n  save the file as UTF-8") from None


def _not_there(path: Path) -> PipelineFileInvalid:
    beside = [file.name for file in _yaml_files(path.parent)]
    return PipelineFileInvalid(with_suggestion(f"{path}: there is no such file", path.name, beside))


def _yaml_files(directory: Path) -> list[Path]:
    """Visible YAML files, by name; none where the directory may not be read."""
    try:
        paths = sorted(directory.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.suffix in _SUFFIXES and not path.name.startswith(".") and path.is_file()]


def _names_pipeline(path: Path) -> bool:
    """Whether the file has the key at its top level. A file with errors in it counts too: its errors are what has to be shown."""
    try:
        with path.open("rb") as file:
            content = file.read(limits.PIPELINE_FILE_MAX_BYTES)
    except OSError:
        return False
    return _PIPELINE_KEY.search(content.decode("utf-8-sig", errors="replace")) is not None


def _read_statements(declaration: Declaration, directory: Path, problems: list[Problem]) -> dict[str, tuple[str, str]]:
    """Of each task whose SQL stands in a file: the absolute path and the text. What cannot be read goes to `problems`."""
    statements: dict[str, tuple[str, str]] = {}
    for task in declaration.tasks.values():
        if task.sql_path is None:
            continue
        read = _read_statement(task.sql_path, directory)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            statements[task.name] = read
            problems += _statement_problems(task.sql_path, read[1], declaration)
    return statements


def _statement_problems(name: Text, statement: str, declaration: Declaration) -> Iterator[Problem]:
    """Parameters that are pasted where they are prepared, or that the pipeline file does not declare."""
    for line, written in pasted_parameters(statement):
        what = f"`{written}` in line {line} of `{name.value}`: nothing is pasted into a statement"
        yield Problem(name.span, what, "declare a parameter (`params:`), and write `$name` for it in the SQL")
    for offset, parameter in sql_parameters(statement):
        if parameter not in declaration.params:
            what, remedy = unknown_parameter(parameter, declaration.params)
            yield Problem(name.span, f"line {statement.count(chr(10), 0, offset) + 1} of `{name.value}`: {what}", remedy)


def _read_statement(name: Text, directory: Path) -> tuple[str, str] | Problem:
    path = directory / name.value.strip()
    try:
        with path.open("rb") as file:
            content = file.read(limits.QUERY_TEXT_MAX_BYTES + 1)
        statement = content.decode("utf-8-sig")
    except FileNotFoundError:
        beside = [file.name for file in path.parent.glob("*.sql")]
        what = with_suggestion(f"there is no SQL file `{name.value}`", path.name, beside)
        return Problem(name.span, what, f"looked for {path}")
    except OSError as error:
        return Problem(name.span, f"the SQL file `{name.value}` cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return Problem(name.span, f"the SQL file `{name.value}` is not UTF-8: byte {error.start + 1}", "save it as UTF-8")
    if len(content) > limits.QUERY_TEXT_MAX_BYTES:
        bound = limits.QUERY_TEXT_MAX_BYTES // limits.MIB
        return Problem(name.span, f"the SQL file `{name.value}` is over {bound} MiB", "a statement may have that much text at most")
    if not statement.strip() or "\0" in statement:
        fault = "holds a NUL character" if "\0" in statement else "is empty"
        return Problem(name.span, f"the SQL file `{name.value}` {fault}", "write one SELECT into it")
    return str(path), statement


def _knowledge(settings: Settings | None) -> Knowledge:
    said = settings.params if settings is not None else {}
    environ = settings.environ if settings is not None else None
    if environ is None:
        return Knowledge(_is_zone, _is_codec, said)
    return Knowledge(_is_zone, _is_codec, said, Surroundings(environ, lambda name: secret_problem(name, environ)))


def _is_codec(name: str) -> bool:
    """Whether Python has a codec of that name between text and bytes: one such as `base64` is none."""
    try:
        return "a".encode(name).decode(name) == "a"
    except (LookupError, ValueError):
        return False


def _is_zone(name: str) -> bool:
    import zoneinfo  # only where a column has a zone

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _invalid(problems: Sequence[Problem], path: Path, lines: Sequence[str]) -> PipelineFileInvalid:
    return PipelineFileInvalid(render_problems(problems, str(path), lines))
