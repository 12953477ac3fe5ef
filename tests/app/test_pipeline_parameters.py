"""What is put into a pipeline file: parameters, variables of the environment, and secrets, which stay as they are written."""

from pathlib import Path

import pytest
from flights_file import shown

from linkd.app.pipeline_file import Settings, load_pipeline
from linkd.errors import PipelineFileInvalid

PLACES = """\
pipeline: flights
params: {year: 2013, rate: 1.5, deep: true, mode: fast, code: "007", dir: data}
wiring: |
  (flights)          clean   (flown, cancelled)
  (flown, airlines)  sum_up  (totals)
links:
  flights:  {from: "${params.dir}/${params.year}.csv"}
  airlines: {from: "postgresql://${env.PG_USER}:${secret.PG_PASSWORD}@db/x?year=${params.year}"}
  totals:   {to: "out/$${params.year}.csv"}
tasks:
  clean:
    run: |
      cd $HOME && echo $$ '$x' ${HOME}
      python clean.py --year ${params.year} --rate ${params.rate} ${params.deep} ${params.mode} ${params.code}
    env: {KEY: "${secret.KEY}", WHO: "${env.PG_USER}-$${env.PG_USER}", NOTE: "$${secret.KEY}"}
  sum_up: {sql: "SELECT $year AS year, '$$' AS note FROM flown"}
"""
ENVIRON = {"PG_USER": "ro", "PG_PASSWORD": "s3cret", "KEY": "k"}


def test_parameters_and_variables_are_put_in_and_secrets_stay_as_written(tmp_path: Path) -> None:
    path = tmp_path / "flights.yaml"
    path.write_text(PLACES)
    pipeline = load_pipeline(path, Settings({"year": "2014", "mode": "slow and ${secret.KEY}"}, ENVIRON))
    assert pipeline.params == {"year": 2014, "rate": 1.5, "deep": True, "mode": "slow and ${secret.KEY}", "code": "007", "dir": "data"}
    assert pipeline.links["flights"].source == "data/2014.csv"
    assert pipeline.links["airlines"].source == "postgresql://ro:${secret.PG_PASSWORD}@db/x?year=2014"
    assert pipeline.links["totals"].sink == "out/${params.year}.csv"
    clean = pipeline.tasks["clean"]
    assert str(clean.command).splitlines() == [
        "cd $HOME && echo $$ '$x' ${HOME}",
        "python clean.py --year 2014 --rate 1.5 true slow and ${secret.KEY} 007",
    ]
    assert clean.env == {"KEY": "${secret.KEY}", "WHO": "ro-${env.PG_USER}", "NOTE": "$${secret.KEY}"}
    assert pipeline.tasks["sum_up"].sql == "SELECT $year AS year, '$$' AS note FROM flown"
    assert pipeline.secrets == ("PG_PASSWORD", "KEY")


def test_who_only_reads_a_pipeline_needs_nothing_set(tmp_path: Path) -> None:
    path = tmp_path / "flights.yaml"
    path.write_text(PLACES)
    pipeline = load_pipeline(path)
    assert pipeline.links["airlines"].source == "postgresql://${env.PG_USER}:${secret.PG_PASSWORD}@db/x?year=2013"
    assert pipeline.tasks["clean"].env["WHO"] == "${env.PG_USER}-$${env.PG_USER}"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "--year ${params.year}",
            "--year ${params.yaer}",
            """
            flights.yaml:14:30: there is no parameter `yaer`; did you mean `year`?
                python clean.py --year ${params.yaer} --rate ${params.rate} ${params.deep} ${params.mode} ${params.code}
                                       ^^^^^^^^^^^^^^
              parameters are `year`, `rate`, `deep`, `mode`, `code` and `dir`
            """,
        ),
        (
            "${env.PG_USER}:",
            "${env.PG_USR}:",
            """
            flights.yaml:8:34: the environment has no variable `PG_USR`; did you mean `PG_USER`?
                airlines: {from: "postgresql://${env.PG_USR}:${secret.PG_PASSWORD}@db/x?year=${params.year}"}
                                               ^^^^^^^^^^^^^
              set it before the run: export PG_USR=...
            """,
        ),
        (
            "${secret.PG_PASSWORD}",
            "${secret.PGPASS}",
            """
            flights.yaml:8:49: the secret `PGPASS` is not set
                airlines: {from: "postgresql://${env.PG_USER}:${secret.PGPASS}@db/x?year=${params.year}"}
                                                              ^^^^^^^^^^^^^^^^
              set the variable PGPASS, or name a file that holds it in PGPASS_FILE
            """,
        ),
        (
            "echo $$",
            "echo ${secret.KEY}",
            """
            flights.yaml:13:24: `${secret.KEY}`: it stands only in addresses (`from:` and `to:` with `://`) and in the values of `env:`
                cd $HOME && echo ${secret.KEY} '$x' ${HOME}
                                 ^^^^^^^^^^^^^
              give it to the program: `env: {KEY: "${secret.KEY}"}`, and read it there
            """,
        ),
        (
            "$year AS year",
            "${params.year} AS year",
            """
            flights.yaml:16:25: `${params.year}`: it does not stand in SQL: nothing is pasted into a statement
                sum_up: {sql: "SELECT ${params.year} AS year, '$$' AS note FROM flown"}
                                      ^^^^^^^^^^^^^^
              write `$year`: a prepared parameter, which may stand wherever a value may
            """,
        ),
        (
            "$year AS year",
            "$yaer AS year",
            """
            flights.yaml:16:25: there is no parameter `yaer`; did you mean `year`?
                sum_up: {sql: "SELECT $yaer AS year, '$$' AS note FROM flown"}
                                      ^^^^^
              parameters are `code`, `deep`, `dir`, `mode`, `rate` and `year`: declare it with `params: {yaer: ...}`, or correct the name
            """,
        ),
        (
            "${params.dir}/",
            "${params.dir/",
            """
            flights.yaml:7:21: `${params.dir/` has no `}` behind it
                flights:  {from: "${params.dir/${params.year}.csv"}
                                  ^^^^^^^^^^^^^
              write `${params.NAME}`, or `$${` for a `${` itself
            """,
        ),
        (
            "mode: fast",
            "mode: '${env.PG_USER}'",
            """
            flights.yaml:2:52: `${env.PG_USER}`: nothing is put into `params`: write it out
                params: {year: 2013, rate: 1.5, deep: true, mode: '${env.PG_USER}', code: "007", dir: data}
                                                                   ^^^^^^^^^^^^^^
              write the value itself
            """,
        ),
    ],
)
def test_what_cannot_be_put_in_is_shown_so(tmp_path: Path, before: str, after: str, expected: str) -> None:
    path = tmp_path / "flights.yaml"
    path.write_text(PLACES.replace(before, after, 1))
    with pytest.raises(PipelineFileInvalid) as caught:
        load_pipeline(path, Settings({}, ENVIRON))
    assert str(caught.value).replace(f"{tmp_path}/", "") == shown(expected)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"yaer": "2014"}, "flights.yaml: `-s yaer=...`: the file declares no parameter `yaer`; did you mean `year`?"),
        ({"year": "soon"}, "flights.yaml:2:16: `-s year=soon`: `year` is a whole number here, and that is none"),
        ({"rate": "high"}, "flights.yaml:2:28: `-s rate=high`: `rate` is a number here, and that is none"),
        ({"deep": "1"}, "flights.yaml:2:39: `-s deep=1`: `deep` is `true` or `false` here, and that is none"),
    ],
)
def test_a_parameter_on_the_command_line_has_the_type_of_the_file(tmp_path: Path, said: dict[str, str], expected: str) -> None:
    path = tmp_path / "flights.yaml"
    path.write_text(PLACES)
    with pytest.raises(PipelineFileInvalid) as caught:
        load_pipeline(path, Settings(said, ENVIRON))
    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines()[0] == expected


def test_sql_in_a_file_has_the_parameters_of_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "totals.sql").write_text("SELECT $year AS year\nFROM flown WHERE x = $yaer")
    sql = "{sql: \"SELECT $year AS year, '$$' AS note FROM flown\"}"
    assert sql in PLACES
    path = tmp_path / "flights.yaml"
    path.write_text(PLACES.replace(sql, "{sql: totals.sql}"))
    with pytest.raises(PipelineFileInvalid, match=r"16:17: line 2 of `totals.sql`: there is no parameter `yaer`; did you mean `year`\?"):
        load_pipeline(path)
    (tmp_path / "totals.sql").write_text("SELECT\n${params.year} AS year")
    with pytest.raises(PipelineFileInvalid, match=r"`\$\{params.year\}` in line 2 of `totals.sql`: nothing is pasted into a statement"):
        load_pipeline(path)
