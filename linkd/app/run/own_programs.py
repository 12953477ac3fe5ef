"""The programs of a run that are linkd's own: how they are executed, and what they import, so that it can be imported before they start."""

from __future__ import annotations

from linkd.app.run.fork_server import OwnProgram

_ADAPTER = "linkd_adapters.file"

OWN_ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
}
"""What a person's own environment does not say otherwise, in linkd's own processes: no thread, and no handler around a fork, begins with an
import; and Arrow keeps the pages of one batch for the next, where its own allocator gives them back and has them zeroed again (a fifth of the
time of reading a file)."""

HOME = OwnProgram(
    "linkd.app.supervised_home",
    ("linkd.home.home", "linkd.faces.grpc_server", "linkd.faces.links", "uvloop", "linkd.app.supervised_home"),
)
ADAPTERS = OwnProgram(
    "linkd.app.adapter_worker",
    (
        *("pyarrow", "pyarrow.compute", "linkd.core.rows", "linkd.app.adapter_worker", "pyarrow.csv", "blake3"),
        *(f"{_ADAPTER}.{module}" for module in ("adapter", "source", "csv_reader", "sink", "csv_text")),
    ),
)
SQL_TASK = OwnProgram("linkd.query.task", ("duckdb", "linkd.query.task"))

FILE_TASK = OwnProgram("linkd.faces.files.task", ())
"""What it needs beside what adapters do is little, and most runs have none."""

OWN_PROGRAMS = (HOME, ADAPTERS, SQL_TASK)
"""In the order in which a run starts them."""
