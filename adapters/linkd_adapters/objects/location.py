"""Where objects are: what `from:` and `to:` say.

    s3://BUCKET/KEY?endpoint=URL&region=NAME&access_key=${secret.KEY}&secret_key=${secret.SECRET}&session_token=...&anonymous=true
    gs://BUCKET/KEY?service_account=FILE&endpoint=URL&anonymous=true
    az://CONTAINER/KEY?account=NAME&key=${secret.KEY}&endpoint=URL&anonymous=true

KEY may be a pattern of names (`*`, `[...]`, `**` for any number of directories; a `?` begins the settings, so there is none), or end in `/` and
mean the objects below it, not those deeper. `%2A` is a `*` itself. What is not said is taken from the environment, by the names that the
stores' own tools use. What is secret has to be a secret: anything else in a URL is shown to whoever asks what the pipeline is.
"""

from __future__ import annotations

import difflib
import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from linkd.errors import InvalidArgument
from linkd.plugin.contract import LinkOptions
from linkd_adapters.file.location import FileFormat, FileLocation, declared_format, format_of_name, packing_of_name, told_format
from linkd_adapters.placeholders import PLACEHOLDER, secrets_in

_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "s3": ("endpoint", "region", "access_key", "secret_key", "session_token", "anonymous"),
    "gs": ("endpoint", "service_account", "anonymous"),
    "az": ("endpoint", "account", "key", "anonymous"),
}
_SECRET = ("secret_key", "session_token", "key")
_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "access_key": ("AWS_ACCESS_KEY_ID",),
    "secret_key": ("AWS_SECRET_ACCESS_KEY",),
    "session_token": ("AWS_SESSION_TOKEN",),
}
"""Of S3; the library reads those of the others by itself."""
_CREDENTIALS = ("access_key", "secret_key", "session_token")


@dataclass(frozen=True, slots=True)
class Address:
    """A bucket, and how to get to it. `settings` may hold secrets: never shown."""

    scheme: str
    bucket: str
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def server(self) -> str:
        """Who answers, for messages."""
        usual = {"s3": "Amazon S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
        return self.settings.get("endpoint") or usual[self.scheme]

    def url(self, key: str) -> str:
        return f"{self.scheme}://{self.bucket}/{key}"


@dataclass(frozen=True, slots=True)
class ObjectLocation:
    """The objects of a link. Of `files`, `path` is the key, or the pattern of keys."""

    address: Address
    files: FileLocation

    @property
    def key(self) -> str:
        return self.files.path.as_posix()


def locate(options: LinkOptions, environ: Mapping[str, str]) -> ObjectLocation:
    """What the location of a link says. Raises `InvalidArgument` for one that says nothing, with what to write."""
    written = options.shown
    scheme, _, rest = written.partition("://")
    scheme, (place, _, query) = scheme.lower(), rest.partition("?")
    bucket, _, key = place.partition("/")
    shown = f"{scheme}://{place}"
    if not bucket or not key or PLACEHOLDER.search(place):
        raise InvalidArgument(
            f"links.{options.link}: {shown} names no object; write {scheme}://BUCKET/KEY, such as {scheme}://data/2013.csv.gz"
        )
    settings = _settings(options, scheme, query, secrets_in(written, options.location))
    if scheme == "s3":
        settings = {**_from_environment(settings, environ), **settings}
    return ObjectLocation(Address(scheme, bucket, settings), _files(options, shown, key))


def secret_problem(options: LinkOptions) -> str | None:
    """What is wrong with a secret that everybody can read, or `None`."""
    if options.written is None:
        return None
    for name, text in parse_qsl(options.written.partition("?")[2]):
        if name in _SECRET and not PLACEHOLDER.search(text):
            return (
                f"links.{options.link}: its address has a secret in it (`{name}`), which whoever looks at the pipeline would see; "
                "write ${secret.NAME} there, and set the variable NAME, or name a file that holds it in NAME_FILE"
            )
    return None


def _files(options: LinkOptions, shown: str, key: str) -> FileLocation:
    path, declared = Path(unquote(key)), declared_format(options)
    if key.endswith("/"):
        return FileLocation(shown, options.base, path, declared or format_of_name(key.rstrip("/")), is_directory=True)
    packing = packing_of_name(key)
    if glob.has_magic(key):
        return FileLocation(shown, options.base, Path(key), declared or format_of_name(key), packing, is_pattern=True)
    kind = declared or (format_of_name(key) if options.mode == "parts" else told_format(shown, packing))
    return FileLocation(shown, options.base, path, kind, packing)


def file_of(location: FileLocation, address: Address, key: str) -> FileLocation:
    """One of the objects that a location means. Raises `InvalidArgument` if nothing tells its format."""
    kind: FileFormat | None = location.format or format_of_name(key)
    if kind is None:
        raise InvalidArgument(f"{location.shown}: the name {key} does not tell the format; say format:")
    return FileLocation(address.url(key), location.base, Path(key), kind, packing_of_name(key))


def _settings(options: LinkOptions, scheme: str, query: str, secrets: Mapping[str, str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    known = _SETTINGS[scheme]
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean `{near[0]}`?" if near else f"it takes {', '.join(known)}"
            raise InvalidArgument(f"links.{options.link}: `{name}` behind the `?` of {scheme}:// is no setting; {meant}")
        settings[name] = PLACEHOLDER.sub(lambda match: secrets.get(match[0], match[0]), text)
    return settings


def _from_environment(said: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What the environment says of S3. Keys of two places would not go together: one that is said turns those of the environment off."""
    names = [
        name for name in _ENVIRONMENT if name not in _CREDENTIALS or not ("anonymous" in said or any(key in said for key in _CREDENTIALS))
    ]
    found = {name: next((environ[variable] for variable in _ENVIRONMENT[name] if environ.get(variable)), "") for name in names}
    return {name: text for name, text in found.items() if text}
