from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from linkd.app.arrow_alone import keep_arrow_alone
keep_arrow_alone()
keep_arrow_alone()
import pyarrow as pa
pa.array([1.5, None]), pa.scalar("a"), pa.table({"a": ["x"]})
assert "pandas" not in sys.modules
import pandas
assert pa.array(pandas.Series(["a", None])).null_count == 1, "who imports pandas after all has all of it"
keep_arrow_alone()
assert "pandas" in sys.modules
"""


def test_arrow_does_without_pandas_until_somebody_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
