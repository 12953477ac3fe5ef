"""The pipeline that these tests serve, and how they connect to it."""

from __future__ import annotations

from typing import Protocol

from raw_client import RawClient

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.core.tasks import TaskShape
from linkd.model.records import TaskKind
from linkd.testing.home import InProcessHome

PIPELINE = Layout(
    "pipeline",
    {
        "numbers": LinkShape("numbers", ""),
        "names": LinkShape("names", "from:names"),
        "names.rejects": LinkShape("names.rejects", "from:names"),
        "doubled": LinkShape("doubled", "double"),
        "total": LinkShape("total", "sum_up"),
    },
    {
        "from:names": TaskShape("from:names", TaskKind.SOURCE, (), ("names", "names.rejects")),
        "double": TaskShape("double", TaskKind.RUN, (("numbers", "each"),), ("doubled",)),
        "sum_up": TaskShape("sum_up", TaskKind.RUN, (("doubled", "whole"), ("names", "whole")), ("total",)),
        "to:total": TaskShape("to:total", TaskKind.SINK, (("total", "whole"),), ()),
    },
    frozenset({"numbers"}),
)
"""Outsiders append to `numbers`; `double` takes each of them, `sum_up` all it made beside a source's `names`."""


class Connect(Protocol):
    """A client under that token ("" for an outsider); closed with the test."""

    async def __call__(self, home: InProcessHome, name: str = "") -> RawClient: ...
