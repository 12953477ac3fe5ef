"""Which home a program means: environment, pipeline files, directories, endpoints; and starting one on demand."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkd import errors
from linkd.client import launch
from linkd.client.calls import Endpoint
from linkd.client.discovery import FOR_READERS, dial_for, find_pipeline, live_endpoint, pipeline_place, run_endpoint

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def listening(short_dir: Path) -> Iterator[str]:
    """The address of a socket that accepts connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(short_dir / "s"))
        server.listen()
        yield f"unix:{short_dir / 's'}"


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    file = tmp_path / "flights.yaml"
    file.write_text("# the whole pipeline\npipeline: flights  # named\nwiring: |\n  (a) b (c)\n")
    return file


def _home_json(pipeline: Path, address: str) -> Path:
    state = pipeline.parent / ".linkd" / "flights"
    (state / "tokens").mkdir(parents=True)
    (state / "home.json").write_text(json.dumps({"endpoint": address, "pid": 1}))
    (state / "lock").write_text(json.dumps({"kind": "linkd run", "pid": 1}))
    for name in ("clean", "adapters"):
        (state / "tokens" / name).write_text("t0ken\n")
    return state


async def test_a_task_is_told_everything_by_its_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    environ = {"LINKD_ENDPOINT": "unix:/x", "LINKD_TOKEN_FILE": str(tmp_path / "token"), "LINKD_TASK": "clean", "TRACEPARENT": TRACEPARENT}
    assert await dial_for(None, None, None, environ, tmp_path)() == Endpoint("unix:/x", "abc", TRACEPARENT)
    assert await dial_for(None, "clean", None, environ, tmp_path)() == Endpoint("unix:/x", "abc", TRACEPARENT)
    with pytest.raises(errors.InvalidArgument, match="whoever is task sum_up shows its token"):
        dial_for(None, "sum_up", None, environ, tmp_path)


@pytest.mark.parametrize(("target", "fault"), [("unix:", "names no socket"), ("https://a:b@example.org/x", r"a URL \(https://\.\.\.\)")])
def test_an_address_that_cannot_be_one_is_refused_at_once(target: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgument, match=fault):
        dial_for(target, None, None, {}, tmp_path)


async def test_the_token_of_the_environment_goes_to_no_other_endpoint(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc")
    environ = {"LINKD_ENDPOINT": "unix:/x", "LINKD_TOKEN_FILE": str(tmp_path / "token"), "TRACEPARENT": "nonsense"}
    assert await dial_for("unix:/y", None, None, environ, tmp_path)() == Endpoint("unix:/y")
    assert await dial_for("example.org:50051", None, "mine", environ, tmp_path)() == Endpoint("example.org:50051", "mine")


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    environ = {"LINKD_ENDPOINT": "unix:/x", "LINKD_TOKEN_FILE": "/nowhere/token"}
    with pytest.raises(errors.InvalidArgument, match="the token file /nowhere/token cannot be read: No such file"):
        dial_for(None, None, None, environ, tmp_path)


async def test_a_pipeline_file_leads_to_its_running_home(pipeline: Path, listening: str) -> None:
    _home_json(pipeline, listening)
    for target in (pipeline, str(pipeline), pipeline.parent):
        assert await dial_for(target, None, None, {}, Path("/"))() == Endpoint(listening)
    assert await dial_for(pipeline, "clean", None, {}, Path("/"))() == Endpoint(listening, "t0ken")
    below = pipeline.parent / "notebooks" / "deep"
    below.mkdir(parents=True)
    assert await dial_for(None, None, None, {}, below)() == Endpoint(listening)


async def test_a_task_without_a_token_is_refused_with_those_there_are(pipeline: Path, listening: str) -> None:
    _home_json(pipeline, listening)
    with pytest.raises(errors.InvalidArgument, match=r"there is no token of a task claen .*\(tasks: clean\); did you mean `clean`\?"):
        await dial_for(pipeline, "claen", None, {}, Path("/"))()
    for name in ("adapters", "../lock"):
        with pytest.raises(errors.InvalidArgument, match=rf"there is no token of a task {name} .*\(tasks: clean\)"):
            await dial_for(pipeline, name, None, {}, Path("/"))()


async def test_a_place_is_taken_in_a_run_and_not_in_a_home_that_is_there_for_readers(pipeline: Path, listening: str) -> None:
    refusal = "flights.yaml is not being run, so there is no place of clean to take: start `linkd run flights.yaml --without clean`"
    with pytest.raises(errors.ConnectionFailed, match=refusal):
        await dial_for(pipeline, "clean", None, {}, Path("/"))()
    state = _home_json(pipeline, listening)
    assert run_endpoint(state) == listening
    (state / "lock").write_text(json.dumps({"kind": FOR_READERS, "pid": 1}))
    assert run_endpoint(state) is None
    with pytest.raises(errors.ConnectionFailed, match=refusal):
        await dial_for(pipeline, "clean", None, {}, Path("/"))()
    assert await dial_for(pipeline, None, None, {}, Path("/"))() == Endpoint(listening)


async def test_a_state_directory_or_a_socket_is_a_target_too(pipeline: Path, listening: str) -> None:
    state = _home_json(pipeline, listening)
    assert await dial_for(state, None, None, {}, Path("/"))() == Endpoint(listening)
    assert await dial_for(listening.removeprefix("unix:"), None, None, {}, Path("/"))() == Endpoint(listening)
    (state / "home.json").write_text(json.dumps({"endpoint": "unix:/nowhere/s"}))
    with pytest.raises(errors.ConnectionFailed, match="is not running: start it with `linkd serve --dir"):
        await dial_for(state, None, None, {}, Path("/"))()


def test_nothing_and_too_much_to_choose_from_are_both_listed(tmp_path: Path, pipeline: Path) -> None:
    assert find_pipeline(tmp_path).file == pipeline
    (tmp_path / "other.yml").write_text("pipeline: other\n")
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    with pytest.raises(errors.InvalidArgument) as several:
        find_pipeline(tmp_path)
    assert "flights.yaml" in str(several.value)
    assert "other.yml" in str(several.value)
    assert "compose.yaml" not in str(several.value)
    with pytest.raises(errors.InvalidArgument, match="must hold one pipeline file"):
        dial_for(tmp_path, None, None, {}, Path("/"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(errors.InvalidArgument, match="must hold one pipeline file, and there are: none"):
        dial_for(empty, None, None, {}, Path("/"))


@pytest.mark.parametrize("line", ["pipeline: flights", 'pipeline: "flights"', "pipeline : 'flights' # x", "pipeline:\tflights\r"])
def test_the_name_of_a_pipeline_is_found_without_yaml(tmp_path: Path, line: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"links:\n  pipeline: nested\n{line}\n")
    assert pipeline_place(file).state == tmp_path / ".linkd" / "flights"


def test_a_path_that_means_nothing_gets_a_suggestion(pipeline: Path) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"did you mean `flights.yaml`\?"):
        dial_for(pipeline.with_name("flihgts.yaml"), None, None, {}, Path("/"))
    (pipeline.parent / "notes.txt").write_text("hello")
    with pytest.raises(errors.InvalidArgument, match="is no pipeline file: it has no line `pipeline: NAME`"):
        dial_for(pipeline.parent / "notes.txt", None, None, {}, Path("/"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"endpoint": "unix:/nowhere/s"}'])
def test_a_home_that_does_not_answer_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "home.json").write_text(content)
    assert live_endpoint(tmp_path) is None


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("import sys; print('flights.yaml:3:1: what', file=sys.stderr); sys.exit(2)", errors.PipelineFileInvalid, "flights.yaml:3:1: what"),
        ("import sys; print('locked', file=sys.stderr); sys.exit(4)", errors.StateLocked, "locked"),
        (
            """import sys; print('{"refused": "state_damaged"}'); print('not what was written', file=sys.stderr); sys.exit(4)""",
            errors.StateDamaged,
            "not what was written",
        ),
        ("import sys; sys.exit(5)", errors.InternalFault, "ended with exit code 5 instead of saying where it listens"),
        ("print('no json')", errors.InternalFault, "ended with exit code 0 instead of saying where it listens"),
    ],
)
def test_a_home_that_does_not_start_says_why(program: str, error: type[errors.Error], message: str) -> None:
    with pytest.raises(error, match=message):
        launch.start_home([sys.executable, "-S", "-c", program], 10, threading.Event())


def test_a_home_that_starts_says_where_it_listens() -> None:
    program = "import json; print(json.dumps({'endpoint': 'unix:/x', 'pid': 1}), flush=True); input()"
    assert launch.start_home([sys.executable, "-S", "-c", program], 10, threading.Event()) == "unix:/x"


def test_waiting_for_a_home_can_be_given_up() -> None:
    abandoned = threading.Event()
    abandoned.set()
    with pytest.raises(errors.ConnectionFailed, match="was not ready"):
        launch.start_home([sys.executable, "-S", "-c", "import time; time.sleep(30)"], 10, abandoned)


def test_a_home_is_started_by_the_interpreter_that_runs(pipeline: Path) -> None:
    assert launch.serve_command(pipeline) == [sys.executable, "-m", "linkd", "serve", "--on-demand", "--pipeline", str(pipeline)]
