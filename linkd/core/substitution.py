"""`${params.x}`, `${env.X}` and `${secret.X}` in the texts of a pipeline file: where each may stand, and what is put in its place.

    ${params.x}     in every text but the wiring, the pipeline's name and SQL; the statement of a task has prepared parameters (`$x`)
    ${env.X}        in addresses (`from:` and `to:` with `://`) and in the values of `env:`
    ${secret.X}     in the same; the secret is put in where an adapter or a program is started
    $${params.x}    the text `${params.x}` itself (also for env and secret); any other `$` is the shell's, or nobody's

What is put in is not looked at again, and a value with `${secret.X}` in it brings no secret along: that stands as written until `reveal`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from linkd.core.diagnostics import one_of, with_suggestion
from linkd.core.document import Listing, Node, Reader, Record, Text
from linkd.core.parameters import parameter_text
from linkd.core.pipeline import ParamValue
from linkd.model.frozen import frozen

_PLACEHOLDER = re.compile(r"(?P<escape>\$?)\$\{(?P<kind>params|env|secret)\.(?P<name>[^${}\n]*)(?P<close>\}?)")
_SECRET = re.compile(r"\$(\$\{secret\.)|\$\{secret\.([A-Za-z_][A-Za-z0-9_]*)\}")
_UNREVEALED = re.compile(r"\$\{secret\.")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STATEMENT = re.compile(r"(?:\(|(?:from|pivot|select|table|unpivot|values|with)\b)", re.IGNORECASE)

_SCHEME = "://"


@frozen()
class Surroundings:
    """What the outside knows. With `environ` of None (somebody only reads the file) variables stay as written, and need not be set.

    `secret_problem` says why a secret cannot be had, or None.
    """

    environ: Mapping[str, str] | None = None
    secret_problem: Callable[[str], str | None] = lambda name: None


@dataclass(slots=True)
class Substitution:
    """One pass over a file's tree. What is wrong goes to `reader`; `secrets` are the names that were met."""

    reader: Reader
    params: Mapping[str, ParamValue]
    surroundings: Surroundings
    secrets: dict[str, None] = field(default_factory=dict)

    def record(self, root: Record) -> Record:
        """The tree with everything put in that can be."""
        return replace(root, entries=tuple((key, self._node(node, (key.value,))) for key, node in root.entries))

    def _node(self, node: Node, path: tuple[str, ...]) -> Node:
        match node:
            case Text():
                return self._text(node, path)
            case Listing():
                return replace(node, items=tuple(self._node(item, path) for item in node.items))
            case Record():
                return replace(node, entries=tuple((key, self._node(value, (*path, key.value))) for key, value in node.entries))

    def _text(self, text: Text, path: tuple[str, ...]) -> Text:
        if "${" not in text.value:
            return text
        is_statement = (_is_task_key(path, "sql") and not is_sql_path(text.value)) or _is_query(path)
        keeps_secrets = _is_env(path) or _is_end(path)
        allowed = self._allowed(text, path, is_statement)
        parts: list[str] = []
        end = 0
        for match in _PLACEHOLDER.finditer(text.value):
            parts.append(text.value[end : match.start()])
            end = match.end()
            if match["escape"]:
                # In SQL `$$` begins a quoted text; and what `reveal` has yet to see keeps its escape until then.
                as_it_is = is_statement or (match["kind"] == "secret" and keeps_secrets)
                parts.append(match[0] if as_it_is or self._is_kept(match["kind"]) else match[0][1:])
            else:
                parts.append(self._put_in(text, match, allowed, keeps_secrets))
        parts.append(text.value[end:])
        return replace(text, value="".join(parts))

    def _is_kept(self, kind: str) -> bool:
        return kind == "env" and self.surroundings.environ is None

    def _allowed(self, text: Text, path: tuple[str, ...], is_statement: bool) -> Mapping[str, str]:
        """For each kind of placeholder that may not stand here, why; what may has no entry."""
        if _is_query(path):
            refused = "it does not stand in a query: nothing is pasted into a statement"
            return {"params": refused, "env": refused, "secret": refused}
        if is_statement:
            refused = "it does not stand in SQL: nothing is pasted into a statement"
            return {"params": refused, "env": refused, "secret": refused}
        if path[0] in ("wiring", "pipeline", "params"):
            refused = f"nothing is put into `{path[0]}`: write it out"
            return {"params": refused, "env": refused, "secret": refused}
        if _is_env(path) or (_is_end(path) and _SCHEME in text.value):
            return {}
        refused = "it stands only in addresses (`from:` and `to:` with `://`) and in the values of `env:`"
        return {"env": refused, "secret": refused}

    def _put_in(self, text: Text, match: re.Match[str], refused: Mapping[str, str], keeps_secrets: bool) -> str:
        kind, name = match["kind"], match["name"]
        if not match["close"]:
            self._note(text, match, f"`{match[0][:40]}` has no `}}` behind it", f"write `${{{kind}.NAME}}`, or `$${{` for a `${{` itself")
        elif kind in refused:
            self._note(text, match, f"`{match[0]}`: {refused[kind]}", self._remedy(kind, name, refused[kind]))
        elif kind == "params":
            if name in self.params:
                return _without_secrets(parameter_text(self.params[name]), keeps_secrets)
            what = with_suggestion(f"there is no parameter `{name}`", name, self.params)
            declared = f"parameters are {one_of(list(self.params))}" if self.params else f"declare it: `params: {{{name or 'year'}: ...}}`"
            self._note(text, match, what, declared)
        elif not _VARIABLE.fullmatch(name):
            self._note(text, match, f"`{match[0]}` names no variable", "names are letters, digits and `_`, no digit first")
        elif kind == "secret":
            self._secret(text, match, name)
        else:
            return self._variable(text, match, name)
        return match[0]

    def _variable(self, text: Text, match: re.Match[str], name: str) -> str:
        environ = self.surroundings.environ
        if environ is None:
            return match[0]
        if name in environ:
            return _without_secrets(environ[name], keeps_secrets=True)
        what = with_suggestion(f"the environment has no variable `{name}`", name, environ)
        self._note(text, match, what, f"set it before the run: export {name}=...")
        return match[0]

    def _secret(self, text: Text, match: re.Match[str], name: str) -> None:
        self.secrets[name] = None
        problem = self.surroundings.secret_problem(name)
        if problem is not None:
            self._note(text, match, problem, f"set the variable {name}, or name a file that holds it in {name}_FILE")

    def _remedy(self, kind: str, name: str, refused: str) -> str:
        if kind == "params" and "SQL" in refused:
            return f"write `${name}`: a prepared parameter, which may stand wherever a value may"
        if "SQL" in refused:
            return "declare a parameter (`params:`), and write `$name` for it"
        if kind != "params" and "only in addresses" in refused:
            return f'give it to the program: `env: {{{name or "NAME"}: "${{{kind}.{name or "NAME"}}}"}}`, and read it there'
        return "write the value itself"

    def _note(self, text: Text, match: re.Match[str], what: str, remedy: str) -> None:
        self.reader.note(self.reader.inside(text, match.start(), match[0]), what, remedy)


def reveal(text: str, secrets: Mapping[str, str]) -> str:
    """`text` with its secrets put in, and `$${secret.X}` made the text it stands for. KeyError for one that is not among `secrets`."""
    return _SECRET.sub(lambda match: match[1] or secrets[match[2]], text)


def named_secrets(text: str) -> Iterator[str]:
    """The secrets that `reveal` would put in."""
    return (match[2] for match in _SECRET.finditer(text) if match[2])


def is_sql_path(text: str) -> bool:
    """Whether what `sql:` says is the path of a file: one line that ends in `.sql` and does not begin as a statement does."""
    body = text.strip()
    return body.endswith(".sql") and "\n" not in body and _STATEMENT.match(body) is None


def pasted_parameters(sql: str) -> Iterator[tuple[int, str]]:
    """Each placeholder in a statement (line from 1, what is written): none has a meaning there."""
    for match in _PLACEHOLDER.finditer(sql):
        if not match["escape"]:
            yield sql.count("\n", 0, match.start()) + 1, match[0]


def _without_secrets(value: str, keeps_secrets: bool) -> str:
    """A value that is put in, so that `reveal` takes nothing in it for a placeholder."""
    return _UNREVEALED.sub("$${secret.", value) if keeps_secrets else value


def _is_task_key(path: tuple[str, ...], key: str) -> bool:
    return len(path) == 3 and path[0] == "tasks" and path[2] == key


def _is_query(path: tuple[str, ...]) -> bool:
    return len(path) == 3 and path[0] == "links" and path[2] == "query"


def _is_env(path: tuple[str, ...]) -> bool:
    return len(path) == 4 and path[0] == "tasks" and path[2] == "env"


def _is_end(path: tuple[str, ...]) -> bool:
    return len(path) == 3 and path[0] == "links" and path[2] in ("from", "to")
