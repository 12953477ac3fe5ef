"""Where a database is, and which of its tables: what `from:` and `to:` say.

    postgresql://USER:${secret.PASSWORD}@HOST:PORT/DATABASE?table=SCHEMA.TABLE      also postgres://, and what else libpq takes behind `?`
    sqlite://shop.db?table=orders           a file beside the pipeline file
    duckdb:///var/lib/shop.duckdb?table=orders      three slashes: a path from the root on

Names of tables are taken as they are written, capitals too. A secret is put in as it is, whatever characters it has, wherever it stands; what
is written out is a URL, with `%40` for an `@`. A password has to be a secret: anything else in a URL is shown to whoever asks what the
pipeline is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from linkd.errors import InvalidArgument
from linkd.plugin.contract import LinkOptions
from linkd_adapters.placeholders import PLACEHOLDER, secrets_in

SERVERS = ("postgresql", "postgres")
FILES = ("sqlite", "duckdb")
_MASKED = "***"


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its name, and by that of its schema if one is given."""

    name: str
    schema: str = ""

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def quoted(self) -> str:
        return ".".join(quoted(part) for part in (self.schema, self.name) if part)

    def beside(self, suffix: str) -> Table:
        """Another table of the same schema, its name cut to what every database takes."""
        return Table(f"{self.name[: 63 - len(suffix.encode())]}{suffix}", self.schema)


@dataclass(frozen=True, slots=True)
class SqlLocation:
    """`address` is what the driver takes, with the secrets in it: never shown. `hidden` are these secrets, `path` is that of a file."""

    scheme: str
    shown: str
    table: Table | None
    address: str = field(repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    path: Path | None = None

    def masked(self, text: str) -> str:
        """What a driver said, without the secrets."""
        for secret in sorted(self.hidden, key=len, reverse=True):
            for form in (secret, quote(secret, safe="")):
                text = text.replace(form, _MASKED)
        return text


def quoted(name: str) -> str:
    """An identifier as all these databases take it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as all these databases take it."""
    return "'" + text.replace("'", "''") + "'"


def locate(options: LinkOptions) -> SqlLocation:
    """What the location of a link says. Raises `InvalidArgument` for one that says nothing, with what to write."""
    written = options.written or options.location
    parts = _split(written, options)
    secrets = secrets_in(written, options.location)
    if PLACEHOLDER.fullmatch(parts.netloc) and "@" in secrets.get(parts.netloc, ""):  # one secret is all of the address
        parts, hidden = _split(options.location, options), tuple(secrets.values())
        secrets = {}
    else:
        hidden = tuple(secrets.values())
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    table = _table(query.pop("table", ""), options)
    if parts.scheme in FILES:
        return _file(parts, query, table, options)
    return SqlLocation(
        scheme="postgresql",
        shown=_shown(written, parts),
        table=table,
        address=_address(parts, query, secrets),
        hidden=tuple(value for value in hidden if value) + ((unquote(parts.password),) if parts.password and not secrets else ()),
    )


def password_problem(options: LinkOptions) -> str | None:
    """What is wrong with a password that everybody can read, or `None`."""
    if options.written is None:
        return None
    try:
        parts = urlsplit(options.written)
    except ValueError:
        return None
    named = dict(parse_qsl(parts.query)).get("password", "")
    if all(PLACEHOLDER.search(text) or not text for text in (parts.password or "", named)):
        return None
    return (
        f"links.{options.link}: its address has a password in it, which whoever looks at the pipeline would see; "
        "write ${secret.NAME} there, and set the variable NAME, or name a file that holds it in NAME_FILE"
    )


def _split(text: str, options: LinkOptions) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port if "${" not in parts.netloc and "," not in parts.netloc else None
    except ValueError as error:
        raise InvalidArgument(
            f"links.{options.link}: {_shown(options.shown, None)} is not an address ({error}); write postgresql://USER@HOST/DATABASE?table=TABLE"
        ) from None
    return parts


def _file(parts: SplitResult, query: Mapping[str, str], table: Table | None, options: LinkOptions) -> SqlLocation:
    """A path in the place of host and path: relative, unless it begins with a slash."""
    path = unquote(parts.netloc + parts.path)
    example = f"write {parts.scheme}://shop.db?table=orders, beside the pipeline file, or {parts.scheme}:///var/lib/shop.db?table=orders"
    if not path:
        raise InvalidArgument(f"links.{options.link}: {options.shown} names no file; {example}")
    if query:
        raise InvalidArgument(
            f"links.{options.link}: {options.shown} has `{min(query)}` behind the `?`, and a file takes only `table`; {example}"
        )
    place = Path(options.base, path)
    return SqlLocation(parts.scheme, options.shown, table, str(place), path=place)


def _address(parts: SplitResult, query: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    def put_in(text: str) -> str:
        """The text itself: what was written is decoded, what is secret is not."""
        found, end = [], 0
        for match in PLACEHOLDER.finditer(text):
            found += [unquote(text[end : match.start()]), secrets.get(match[0], match[0])]
            end = match.end()
        return "".join([*found, unquote(text[end:])])

    user_info, _, host = parts.netloc.rpartition("@")
    user, colon, password = user_info.partition(":")
    names = quote(put_in(user), safe="") + (colon and ":" + quote(put_in(password), safe="")) + ("@" if user_info else "")
    database = quote(put_in(parts.path.removeprefix("/")), safe="")
    usual = {"connect_timeout": "10", "application_name": "linkd", "keepalives_idle": "30", "tcp_user_timeout": "60000"}
    said = {name: put_in(text) for name, text in query.items()}
    settings = "&".join(f"{name}={quote(text, safe='')}" for name, text in {**usual, **said}.items())
    return f"postgresql://{names}{put_in(host)}/{database}?{settings}"


def _table(text: str, options: LinkOptions) -> Table | None:
    if not text:
        return None
    schema, dot, name = text.rpartition(".")
    if (dot and not schema) or not name or "." in schema:
        raise InvalidArgument(f"links.{options.link}: `table={text}` names no table; write ?table=orders, or ?table=sales.orders")
    return Table(name, schema)


def _shown(written: str, parts: SplitResult | None) -> str:
    """The address for messages: as written, without a password that stands in it."""
    if parts is not None and parts.password and not PLACEHOLDER.search(parts.password):
        return written.replace(f":{parts.password}@", f":{_MASKED}@", 1)
    return written if parts is not None else written.partition("?")[0].rpartition("@")[2]
