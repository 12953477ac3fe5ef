"""Sessions of Flight: a connection has no state here, so the only options are where tables are found, and these are what they are."""

from __future__ import annotations

from linkd.core.names import DB_SCHEMA
from linkd.errors import NotSupported
from linkd.home.home import Home
from linkd.wire.flight_sql import parsed
from linkd.wire.v1 import flight_sql_pb2 as pb


def check_place(home: Home, catalog: str, db_schema: str) -> None:
    """Raises NotSupported unless both are those there are, or not given."""
    if catalog not in ("", home.layout.name):
        raise NotSupported(f"there is no catalog `{catalog}`: name none, or `{home.layout.name}`, the pipeline")
    if db_schema not in ("", DB_SCHEMA):
        raise NotSupported(f"there is no schema `{db_schema}`: name none, or `{DB_SCHEMA}`")


def set_options(home: Home, body: bytes) -> bytes:
    """Answers SetSessionOptions: takes the values that hold anyway, and says of each other option why not."""
    asked = parsed(pb.SetSessionOptionsRequest, body)
    errors = {}
    for name, value in asked.session_options.items():
        if name not in _options(home):
            errors[name] = pb.SetSessionOptionsResult.Error(value=pb.SetSessionOptionsResult.INVALID_NAME)
        elif value.string_value not in ("", _options(home)[name]):
            errors[name] = pb.SetSessionOptionsResult.Error(value=pb.SetSessionOptionsResult.INVALID_VALUE)
    return pb.SetSessionOptionsResult(errors=errors).SerializeToString()


def get_options(home: Home, body: bytes) -> bytes:
    """Answers GetSessionOptions."""
    parsed(pb.GetSessionOptionsRequest, body)
    options = {name: pb.SessionOptionValue(string_value=value) for name, value in _options(home).items()}
    return pb.GetSessionOptionsResult(session_options=options).SerializeToString()


def close(home: Home, body: bytes) -> bytes:
    """Answers CloseSession: there is nothing to close."""
    parsed(pb.CloseSessionRequest, body)
    return pb.CloseSessionResult(status=pb.CloseSessionResult.CLOSED).SerializeToString()


def _options(home: Home) -> dict[str, str]:
    return {"catalog": home.layout.name, "schema": DB_SCHEMA}
