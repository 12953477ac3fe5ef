"""A pipeline from an object store into it, as a person runs it, with secrets that nobody gets to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkd.testing.object_store import ACCESS_KEY, SECRET_KEY
from linkd.testing.pipelines import make_pipeline

pytestmark = pytest.mark.xdist_group("object store")

PIPELINE = """
pipeline: flights
wiring: (flights) sum_up (totals)
links:
  flights: {{from: "s3://{bucket}/in/2013-*.csv?endpoint={endpoint}&access_key={key}&secret_key=${{secret.S3_SECRET}}"}}
  totals:  {{to: "s3://{bucket}/out/totals.parquet?endpoint={endpoint}&access_key={key}&secret_key=${{secret.S3_SECRET}}"}}
tasks:
  sum_up: {{sql: "SELECT carrier, sum(miles) AS miles FROM flights GROUP BY carrier"}}
"""


@pytest.mark.slow
def test_a_run_reads_objects_writes_objects_and_has_nothing_to_do_until_one_changes(box, tmp_path: Path) -> None:
    box.put("in/2013-01.csv", b"carrier,miles\nUA,1\nAA,2\n")
    box.put("in/2013-02.csv", b"carrier,miles\nUA,10\n")
    text = PIPELINE.format(bucket=box.name, endpoint=box.server.endpoint, key=ACCESS_KEY)
    environ = {"S3_SECRET": SECRET_KEY}
    with make_pipeline(tmp_path, text.lstrip()) as pipeline:
        first = pipeline.run(env=environ)
        assert first.exit_code == 0, first.stdout + first.stderr
        assert box.keys == ["in/2013-01.csv", "in/2013-02.csv", "out/totals.parquet"]
        asked = len(box.server.requests)
        current = pipeline.run(env=environ)
        assert "Nothing to do" in current.stdout, current.stdout + current.stderr
        assert [request for request in box.server.requests[asked:] if not request.endswith(f"/{box.name}")] == [], "a listing tells it"
        box.put("in/2013-02.csv", b"carrier,miles\nUA,20\n")
        second = pipeline.run(env=environ)
        assert second.exit_code == 0, second.stdout + second.stderr
        assert "2013-*.csv" in second.stdout
        wrong = pipeline.run(env={"S3_SECRET": "wr0ng"})
        assert wrong.exit_code == 2
        assert "does not know these credentials (SignatureDoesNotMatch)" in wrong.stdout + wrong.stderr
        told = "".join(one.stdout + one.stderr for one in (first, current, second, wrong))
        kept = b"".join(path.read_bytes() for path in pipeline.state.rglob("*") if path.is_file())
        for secret in (SECRET_KEY, "wr0ng"):
            assert secret not in told
            assert secret.encode() not in kept
