"""What a SQL task may be: one SELECT for its one output, or `INSERT INTO output SELECT ...` once or more for each of its outputs, ended by `;`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from linkd.core.diagnostics import with_suggestion
from linkd.core.sql_text import SqlStatement, StatementCutter
from linkd.errors import QueryInvalid
from linkd.model.frozen import frozen
from linkd.query.insertion import InsertInto, insertion_in
from linkd.query.statement import Statement, check_select


@frozen()
class OutputStatement:
    """One statement of a task, and the output that its rows go to."""

    output: str
    statement: Statement
    insertion: InsertInto | None


def task_statements(sql: str, inputs: Collection[str], outputs: Sequence[str], parameters: Collection[str] = ()) -> list[OutputStatement]:
    """The statements of a task, in order. Raises QueryInvalid for what it may not do, with the line of the statement if there are several."""
    cutter = StatementCutter()
    texts = [*cutter.feed(sql), *cutter.rest()]
    # Of one statement the parser is given the whole text, so that the places it speaks of are right.
    several = len(texts) > 1
    found = [_of_several(text, outputs, parameters) for text in texts] if several else [_one(sql, outputs, parameters)]
    for each in found:
        each.statement.check_reads(inputs)
        if each.statement.histories:
            raise QueryInvalid("link(...) is for queries: a task reads its snapshot, which is the same for every attempt")
    unwritten = [output for output in outputs if output not in {each.output for each in found}]
    if unwritten:
        raise QueryInvalid(f"nothing is inserted into {', '.join(unwritten)}: add INSERT INTO {unwritten[0]} SELECT ...")
    return found


def _one(sql: str, outputs: Sequence[str], parameters: Collection[str]) -> OutputStatement:
    insertion = insertion_in(sql)
    if insertion is not None:
        return _inserted(insertion, outputs, parameters)
    statement = check_select(sql, parameters)
    if len(outputs) != 1:
        listed = "; ".join(f"INSERT INTO {output} SELECT ..." for output in outputs)
        raise QueryInvalid(f"a SELECT has one result, and the task {len(outputs)} outputs: write {listed}")
    return OutputStatement(outputs[0], statement, None)


def _of_several(text: SqlStatement, outputs: Sequence[str], parameters: Collection[str]) -> OutputStatement:
    # The lines before it stay empty, so that what the parser says has its place in the whole text.
    sql = "\n" * (text.line - 1) + text.text
    insertion = insertion_in(sql)
    if insertion is None:
        check_select(sql, parameters)
        raise QueryInvalid(
            f"line {text.line}: a task with several statements says of each where its rows go: INSERT INTO {outputs[0]} SELECT ..."
        )
    return _inserted(insertion, outputs, parameters)


def _inserted(insertion: InsertInto, outputs: Iterable[str], parameters: Collection[str]) -> OutputStatement:
    if insertion.target not in outputs:
        fault = with_suggestion(f"`{insertion.target}` is no output of this task", insertion.target, list(outputs))
        raise QueryInvalid(f"{fault}\n  its outputs are: {', '.join(outputs)}")
    return OutputStatement(insertion.target, check_select(insertion.select, parameters), insertion)
