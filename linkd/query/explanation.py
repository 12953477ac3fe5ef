"""`EXPLAIN SELECT ...`: the word is taken off by a small grammar of our own, and the SELECT behind it checked like any other; it is not run.

explanation = EXPLAIN ( SELECT | WITH | FROM | VALUES ) ...
"""

from __future__ import annotations

import re

import pyarrow as pa

from linkd.query.insertion import GAP

EXPLAINED = pa.schema({"explain_key": pa.string(), "explain_value": pa.string()})
"""What it gives, with the names that DuckDB has for it."""
_BEGIN = re.compile(rf"{GAP}*EXPLAIN{GAP}+(?=(?:SELECT|WITH|FROM|VALUES)\b)", re.IGNORECASE | re.DOTALL)


def explained_in(sql: str) -> str:
    """The SELECT that is to be explained, with blanks in place of what was taken off; nothing for any other statement."""
    begin = _BEGIN.match(sql)
    return re.sub(r"[^\n]", " ", sql[: begin.end()]) + sql[begin.end() :] if begin is not None else ""


def told(plan: str) -> pa.RecordBatch:
    """The one row."""
    return pa.RecordBatch.from_arrays([["physical_plan"], [plan]], schema=EXPLAINED)
