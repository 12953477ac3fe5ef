"""A task whose place is left open, taken from a shell and from Python; parameters and secrets on their way through a whole run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import linkd
from linkd.errors import ConnectionFailed, InvalidArgument
from linkd.testing.pipelines import PipelineDirectory, clean_environment, make_pipeline

TWO_STEPS = """\
pipeline: steps
params: {least: 2, who: "Ann  B"}
wiring: |
  (numbers) clean (kept)
  (kept) label (labelled)
  (labelled) sum_up (totals)
links:
  numbers: {from: numbers.csv}
  totals: {to: "out/${params.who}.csv"}
tasks:
  clean: {run: python clean.py}
  label: {run: python label.py, env: {KEY: "k-${secret.KEY}"}}
  sum_up: {sql: "SELECT $who AS who, sum(n) AS n FROM labelled WHERE n >= $least"}
"""
CLEAN = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        snap.publish("kept", snap["numbers"].rows())
"""
LABEL = """\
import linkd, os
print("the key is", os.environ["KEY"], os.environ["LINKD_PARAM_LEAST"], flush=True)
for snap in linkd.connect().snapshots():
    with snap:
        snap.publish("labelled", snap["kept"].rows())
"""
SECRET = {"KEY": "s3cret-value"}


@pytest.fixture
def steps(tmp_path: Path) -> PipelineDirectory:
    files = {"clean.py": CLEAN, "label.py": LABEL, "numbers.csv": "n\n1\n2\n3\n"}
    return make_pipeline(tmp_path, TWO_STEPS, files)


def test_open_places_are_taken_by_a_debugger_and_by_a_shell(steps: PipelineDirectory) -> None:
    with steps, pytest.raises(ConnectionFailed, match="is not being run, so there is no place of clean to take"):
        linkd.connect(steps.file, task="clean")
    refused = steps.linkd("env", "clean")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "steps.yaml is not being run: start it with `linkd run steps.yaml --without clean`\n"

    with steps, steps.start("run", "steps.yaml", "--without", "clean", "--without", "label", "-s", "least=3", env=SECRET) as run:
        assert run.stdout is not None
        said = [run.stdout.readline()]
        while "label: its place is open" not in said[-1]:
            assert run.poll() is None
            said.append(run.stdout.readline())
        places = [line for line in said if "its place is open" in line]
        assert places == [
            f'{task}: its place is open: eval $(linkd env {task} -p steps.yaml), or linkd.connect("steps.yaml", task="{task}")\n'
            for task in ("clean", "label")
        ]
        with pytest.raises(InvalidArgument, match=r"there is no token of a task claen .*did you mean `clean`\?"):
            linkd.connect(steps.file, task="claen")
        for name in ("sum_up", "adapters", "from:numbers"):
            with pytest.raises(InvalidArgument, match=rf"there is no (program|token) of a task {name}"):
                linkd.connect(steps.file, task=name)
        with linkd.connect(steps.file, task="clean") as client:
            for snap in client.snapshots():
                with snap:
                    snap.publish("kept", snap["numbers"].rows())

        told = json.loads(steps.linkd("env", "label", "--json", env=SECRET).stdout)
        assert (told["LINKD_TASK"], told["LINKD_PARAM_LEAST"], told["KEY"]) == ("label", "3", "k-s3cret-value")
        assert steps.linkd("env", "labl").stderr == (
            "there is no program of a task labl in this run; did you mean `label`?\n  programs: clean, label\n"
        )
        in_shell = f"eval $({sys.executable} -m linkd env label) && exec {sys.executable} label.py"
        taken = subprocess.run(
            ["sh", "-c", in_shell], cwd=steps.path, env={**clean_environment(), **SECRET}, capture_output=True, text=True, check=False
        )
        assert (taken.returncode, taken.stdout) == (0, "the key is k-s3cret-value 3\n"), taken.stderr
        stdout, stderr = run.communicate(timeout=60)
        assert run.returncode == 0, stdout + stderr
    assert steps.rows("out/Ann  B.csv") == [{"who": "Ann  B", "n": "3"}]


def test_a_run_retries_what_fails_shows_no_secret_and_if_strict_leaves_nothing_unread(steps: PipelineDirectory) -> None:
    failing = "import os, sys\nif not os.path.exists('tried'):\n    open('tried', 'w')\n    sys.exit('no ' + os.environ['KEY'][2:])\n"
    leaving = LABEL.replace("        snap.publish", "        raise SystemExit(0)\n        snap.publish")
    steps.write("label.py", failing + leaving)
    text = TWO_STEPS.replace("label: {", "label: {retries: 1, ").replace("links:\n", "links:\n  labelled: {schema: {n: int64}}\n")
    steps.write("steps.yaml", text)
    with steps:
        unset = steps.run()
        assert unset.exit_code == 2
        assert "steps.yaml:13:59: the secret `KEY` is not set" in unset.stderr

        strict = steps.run("--strict", env=SECRET)
        assert strict.exit_code == 1
        assert "label exited with code 1: attempt 2 of 2 in 1 s" in strict.stdout
        assert "label | the key is k-*** 2" in strict.stdout
        assert "task label exited with code 0 and left 1 value of kept unread (--strict)" in strict.stderr
        assert (steps.state / "logs/label.log").read_text().splitlines()[1] == "no ***"

        lenient = steps.run(env=SECRET)
        assert lenient.exit_code == 0, lenient.stderr
        assert "note: label exited with code 0 and left 1 value of kept unread" in lenient.stdout
        assert steps.run(env=SECRET).stdout.startswith("Nothing to do")
        nothing_new = steps.run("--strict", env=SECRET)
        assert (nothing_new.exit_code, nothing_new.stdout) == (1, "")
        assert nothing_new.stderr == (
            "task label exited with code 0 in an earlier run and left 1 value of kept unread (--strict)\n"
            "  it runs again when its program or its `version:` changes; without --strict it is complete\n"
            "  fix it, then: linkd run steps.yaml\n"
        )
        assert (steps.state / "logs/home.log").read_text().count(" serves steps at ") == 2

        steps.write("label.py", LABEL)
        mended = steps.run("--strict", env=SECRET)
        assert mended.exit_code == 0, mended.stderr
        assert steps.rows("out/Ann  B.csv") == [{"who": "Ann  B", "n": "5"}]
        shown = strict.stdout + strict.stderr + mended.stdout + steps.linkd("ls", "-p", "steps.yaml", "--json").stdout
        kept = b"".join(path.read_bytes() for path in steps.state.rglob("*") if path.is_file())
        assert SECRET["KEY"] not in shown
        assert SECRET["KEY"].encode() not in kept
