"""The pipeline of examples/shop as a person runs it, over a real server and with a password, which nobody gets to see."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from linkd.testing.pipelines import make_pipeline
from linkd.testing.postgres import PostgresServer

EXAMPLE = Path(__file__).parents[3] / "examples/shop/shop.yaml"
PASSWORD = "s3cret:/@#"
ROWS = """
INSERT INTO orders (customer, amount, at) VALUES
  ('ada', 10.50, '2024-01-01 10:00:00+00'), ('bob', 2.25, '2024-01-01 11:00:00+00'), ('ada', 0.50, '2024-01-02 10:00:00+00')
"""


@pytest.mark.slow
def test_the_shop_runs_and_its_password_is_nowhere(server: PostgresServer, tmp_path: Path) -> None:
    server.psql("CREATE DATABASE shop OWNER guarded")
    server.psql("CREATE TABLE orders (id bigserial PRIMARY KEY, customer text, amount numeric(12,2), at timestamptz)", "shop")
    server.psql(f"ALTER TABLE orders OWNER TO guarded; {ROWS}; GRANT ALL ON SCHEMA public TO guarded", "shop")
    text = EXAMPLE.read_text()
    with make_pipeline(tmp_path, text[text.index("pipeline:") :]) as pipeline:
        words = ["-s", f"at=127.0.0.1:{server.port}/shop", "-s", "user=guarded"]
        first = pipeline.run(*words, env={"SHOP_PASSWORD": PASSWORD})
        assert first.exit_code == 0, first.stderr
        assert server.psql("SELECT * FROM customers ORDER BY customer", "shop") == "ada|11.00|2\nbob|2.25|1"
        server.psql("INSERT INTO orders (customer, amount) VALUES ('bob', 1)", "shop")
        second = pipeline.run(*words, env={"SHOP_PASSWORD": PASSWORD})
        assert second.exit_code == 0, second.stderr
        assert "orders: its source grew -> goes on" in second.stdout
        assert server.psql("SELECT * FROM customers ORDER BY customer", "shop") == "ada|11.00|2\nbob|3.25|2"
        with duckdb.connect(str(tmp_path / "shop.duckdb")) as archive:
            assert archive.execute("SELECT count(*), sum(amount) FROM orders").fetchone() == (4, pytest.approx(14.25))

        current = pipeline.run(*words, env={"SHOP_PASSWORD": PASSWORD})
        assert "Nothing to do" in current.stdout, current.stdout + current.stderr
        wrong = pipeline.run(*words, env={"SHOP_PASSWORD": "treasure"})
        assert wrong.exit_code == 2
        assert "the server does not let us in" in wrong.stdout + wrong.stderr
        told = "".join(one.stdout + one.stderr for one in (first, second, current, wrong))
        kept = b"".join(path.read_bytes() for path in pipeline.state.rglob("*") if path.is_file())
        for secret in (PASSWORD, "s3cret", "treasure"):
            assert secret not in told
            assert secret.encode() not in kept
