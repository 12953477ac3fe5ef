"""The reference pages are complete and true: held against what the code accepts, offers, registers and raises, by other roads than theirs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import linkd
import linkd.aio
from linkd import errors
from linkd.app.cli.verbs import VERBS, command_of
from linkd.app.pipeline_file import load_pipeline
from linkd.core.file_keys import TASK_KINDS
from linkd.core.policies import FAMILIES, WirePolicyKind, parse_policy_word, parse_window, refusal
from linkd.core.wiring import parse_wiring
from linkd.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")}
SCHEMA = json.loads((DOCS / "pipeline.schema.json").read_text(encoding="utf-8"))["properties"]
KEYS = {
    "The file": SCHEMA,
    "links": SCHEMA["links"]["additionalProperties"]["properties"],
    "tasks": SCHEMA["tasks"]["additionalProperties"]["properties"],
}


def section(page: str, heading: str, level: int = 2) -> str:
    """What stands under a heading."""
    found = re.search(rf"^{'#' * level} {re.escape(heading)}\n(.*?)(?=^#{{2,{level}}} |\Z)", PAGES[page], re.MULTILINE | re.DOTALL)
    assert found, f"{page}.md has no {heading}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.replace(r"\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    ruled = {number for number, row in enumerate(cells) if set("".join(row)) <= set("- ")}
    return [row for number, row in enumerate(cells) if number not in ruled and number + 1 not in ruled]


def test_the_pages_are_what_the_generator_makes() -> None:
    finished = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_tables_line_up() -> None:
    for name, page in PAGES.items():
        for table in re.findall(r"(?:^\|(?!   ).*\n)+", page, re.MULTILINE):
            borders = {tuple(match.start() for match in re.finditer(r"(?<!\\)\|", line))[:-1] for line in table.splitlines()}
            assert len(borders) == 1, f"{name}: {table}"


@pytest.mark.parametrize("heading", KEYS)
def test_every_key_of_a_pipeline_file_is_told_with_an_example_that_loads(heading: str, tmp_path: Path) -> None:
    told = {row[0].strip("`"): row for row in rows(section("pipeline-file", heading)) if len(row) == 5}
    assert list(told) == list(KEYS[heading])
    (tmp_path / "totals.sql").write_text("SELECT 1 AS one")
    for key, (_, kind, _, example, meaning) in told.items():
        assert kind
        assert meaning == KEYS[heading][key]["description"]
        file = tmp_path / "example.yaml"
        file.write_text(_file_with(heading, key, example.strip("`")))
        load_pipeline(file)


def _file_with(heading: str, key: str, example: str) -> str:
    """The smallest pipeline file in which the example can stand."""
    parts = {
        "pipeline": "pipeline: flights",
        "wiring": 'wiring: "(flights) clean (flown)"',
        "links": "links: {flights: {from: data/flights.csv}}",
        "tasks": 'tasks: {clean: {run: "python clean.py"}}',
    }
    if heading == "The file":
        parts[key] = example
    elif heading == "links":
        ends = {"from": "from: data/flights.csv", "schema": "schema: {carrier: string}"}
        ends |= {"from": 'from: "postgresql://db/shop"'} if key in ("query", "key") else {}
        ends |= {"to": "to: out/copy.csv"} if key in ("to", "mode", "overwrite") else {}
        ends |= {"durability": "durability: interval"} if key == "interval" else {}
        ends |= {"bound": "bound: 64MB"} if key == "on_full" else {}
        ends |= {"separator": 'separator: ";"'} if key == "decimal" else {}
        parts["links"] = f"links: {{flights: {{{', '.join({**ends, key: example}.values())}}}}}"
        if "to" in ends:
            del parts["wiring"], parts["tasks"]
    else:
        code = {} if key in TASK_KINDS else {"pipe": "pipe: cat"} if key == "commit" else {"run": 'run: "python clean.py"'}
        code |= {"files": "files: whole"} if key in ("format", "header") else {"each": "each: true"} if key == "parallel" else {}
        code |= {"key": "key: carrier", "order": "order: key"} if key in ("key", "order") else {}
        if key == "header":
            parts["links"] = "links: {flights: {from: data/flights.csv}, flown: {schema: {carrier: string}}}"
        parts["tasks"] = f"tasks: {{clean: {{{', '.join({**code, key: example}.values())}}}}}"
    return "\n".join(parts.values())


def test_every_pipeline_that_a_page_shows_loads(tmp_path: Path) -> None:
    pages = [*DOCS.rglob("*.md"), ROOT / "README.md"]
    shown = [
        text for page in pages for text in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    ]
    assert len(shown) >= 2
    for text in shown:
        file = tmp_path / "shown.yaml"
        file.write_text(text)
        load_pipeline(file)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_told_with_all_that_it_takes(verb: str) -> None:
    text = section("cli", f"linkd {verb}")
    command = command_of(VERBS[verb])
    told = [set(re.split(r"[ ,]+", row[0].strip("`"))) for row in rows(text)]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            assert {parameter.metavar} in told
        elif not parameter.hidden:
            assert any(spellings >= set(parameter.opts) for spellings in told), parameter.opts
    hidden = [opt for parameter in command.params if getattr(parameter, "hidden", False) for opt in parameter.opts]
    assert not any(opt in text for opt in hidden)
    assert f"$ {VERBS[verb].example}" in text


def test_every_exit_code_is_told() -> None:
    codes = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    for page in ("cli", "errors"):
        assert {row[0].strip("`") for row in rows(section(page, "Exit codes"))} == codes


@pytest.mark.parametrize("module", [linkd, linkd.aio], ids=lambda module: module.__name__)
def test_everything_that_is_exported_is_told_with_its_members(module: object) -> None:
    failures = {error.__name__ for error in errors.every_error().values()}
    for name in module.__all__:  # type: ignore[attr-defined]
        exported = getattr(module, name)
        if name in failures:
            assert f"`{name}`" in section("python", "Errors")
        elif name == "aio":
            assert section("python", "linkd.aio")
        elif isinstance(exported, type):
            text = section("python", name if module is linkd else f"aio.{name}", 3)
            if "The same class as" in text:
                assert exported is getattr(linkd, name)
            else:
                assert not [member for member in _members(exported) if not re.search(rf"\b{member}\b", text)], name
        else:
            assert f"{module.__name__}.{name}(" in PAGES["python"]  # type: ignore[attr-defined]


def _members(kind: type) -> set[str]:
    """What `dir` finds on the class and not on its builtin bases; what is static is made for our own use."""
    builtin = {member for base in kind.__mro__ if base.__module__ == "builtins" for member in dir(base)}
    static = {name for base in kind.__mro__ for name, member in vars(base).items() if isinstance(member, staticmethod)}
    return {name for name in dir(kind) if not name.startswith("_")} - builtin - static


def test_every_policy_is_told_and_its_example_is_one() -> None:
    text = PAGES["wiring"]
    seen = set()
    for inputs in re.findall(r"^`(\(.*?\)) task \(out\)`", text, re.MULTILINE):
        parsed = parse_wiring(f"{inputs} task (out)")
        assert not parsed.problems
        seen |= {wire.policy.kind for wire in parsed.wiring.tasks[0].inputs}
    assert seen == set(FAMILIES)
    later = set()
    for form, _ in rows(section("wiring", "Later")):
        behind = form.strip("`").removeprefix("flown").strip()
        policy = parse_window(behind[1:-1]) if behind.startswith("[") else parse_policy_word(behind)
        assert refusal(policy, behind)  # type: ignore[arg-type]
        later.add(policy.kind)  # type: ignore[union-attr]
    assert later == set(WirePolicyKind) - set(FAMILIES)


def test_what_depends_on_arrival_is_said_to() -> None:
    assert "two runs over equal inputs can differ" in section("wiring", "flown swap", 3)


def test_every_metric_of_a_live_registry_is_told() -> None:
    rendered = Metrics("flights", "1").render()[0].decode()
    registered = dict(re.findall(r"^# TYPE (\S+) (\S+)$", rendered, re.MULTILINE))
    ours = {name for name in registered if name.startswith("linkd_") and not name.endswith("_created")}
    told = {row[0].strip("`"): row for row in rows(PAGES["metrics"]) if len(row) == 4}
    assert ours == set(told)
    assert {name.partition("_")[0] for name in registered} - {"linkd"} <= {"process", "python"}
    assert all(row[1] in (registered[name], "info") for name, row in told.items())


def test_every_error_is_told_with_what_to_do() -> None:
    told = {row[0].strip("`"): row for row in rows(PAGES["errors"]) if len(row) == 5}
    tree = {error for error in errors.every_error().values() if error is not errors.Error}
    assert {error.__name__ for error in tree} == set(told)
    for error in tree:
        _, code, exit_code, again, advice = told[error.__name__]
        assert (code, exit_code, again) == (f"`{error.code}`", str(error.exit_code), "yes" if error.retryable else "no")
        assert advice
        assert vars(error).get("__doc__"), f"{error.__name__} does not say what to do"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"
