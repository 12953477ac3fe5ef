"""What a store has against a request, as an error of ours: which object, what is wrong, what to do.

The library tells a class and a text. Of the text only the status and the code that the server gave are taken (`<Code>NoSuchBucket</Code>`, the
same for all servers that speak S3): the rest may have addresses and keys in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from obstore import exceptions

from linkd.errors import Error, InvalidArgument, PlaceAway, StorageFailed
from linkd_adapters.objects.location import Address

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*([A-Za-z]+)\s*</Code>")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_OTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "IncorrectEndpoint")
_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired")
_CLOCK = "RequestTimeTooSkewed"
_METADATA_SERVICES = ("169.254.", "metadata.google", "/latest/api/token", "/computeMetadata/")
_HOW = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ?access_key=${secret.KEY}&secret_key=${secret.SECRET} behind it, or "
    "?anonymous=true for a public bucket",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or write ?service_account=FILE behind it, or ?anonymous=true for a public bucket",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or write ?account=NAME&key=${secret.KEY} behind it, or "
    "?anonymous=true for a public container",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What can be told of an error of the library's."""

    status: int
    code: str
    is_missing: bool
    is_forbidden: bool
    is_precondition: bool
    text: str

    @property
    def is_no_bucket(self) -> bool:
        return self.code in _NO_BUCKET


def told(error: Exception) -> Told:
    text = str(error).partition("\n\nDebug source")[0]
    status, code = _STATUS.search(text), _CODE.search(text)
    number = int(status[1]) if status else 0
    return Told(
        status=number,
        code=code[1] if code else "",
        is_missing=isinstance(error, FileNotFoundError) or number == 404,
        is_forbidden=isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError) or number in (401, 403),
        is_precondition=isinstance(error, exceptions.PreconditionError | exceptions.AlreadyExistsError) or number == 412,
        text=text,
    )


def refused(error: Exception, address: Address, shown: str, doing: str) -> Error:
    """The error for what the library raised while the object was `read` or `written`; that it is missing is the business of the caller."""
    what = told(error)
    code = f" ({what.code})" if what.code else f" (status {what.status})" if what.status else ""
    if any(place in what.text for place in _METADATA_SERVICES):
        return InvalidArgument(f"{shown} cannot be {doing}: there are no credentials for {address.server}; {_HOW[address.scheme]}")
    if what.is_no_bucket or what.is_missing:
        return no_bucket(address, shown)
    if what.code in _OTHER_REGION or "configured region" in what.text:
        said = f"`{address.settings['region']}`" if "region" in address.settings else "the one that is taken where none is said, us-east-1"
        return InvalidArgument(
            f"{shown} cannot be {doing}: bucket {address.bucket} is in another region than {said}; write ?region=NAME behind it"
        )
    if what.code in _CREDENTIALS:
        return InvalidArgument(f"{shown} cannot be {doing}: {address.server} does not know these credentials{code}; {_HOW[address.scheme]}")
    if what.code == _CLOCK:
        return InvalidArgument(f"{shown} cannot be {doing}: the clock of this machine is wrong{code}; set it")
    if what.is_forbidden:
        right = {"read": "to get objects and to list the bucket", "written": "to get, put and delete objects and to list the bucket"}[doing]
        return InvalidArgument(
            f"{shown} may not be {doing} with these credentials{code}, or does not exist: have the right given {right}, or use others"
        )
    if "non-partial response" in what.text:
        return InvalidArgument(f"{shown} cannot be read: {address.server} does not answer ranges as HTTP has it; copy the object elsewhere")
    if what.status == 507 or what.code in ("QuotaExceeded", "InsufficientStorage"):
        return StorageFailed(f"{shown} cannot be written: {address.server} has no room{code}; make some, then run again")
    if 400 <= what.status < 500 and what.status not in (408, 429):
        return InvalidArgument(f"{shown} cannot be {doing}: {address.server} refuses{code}; see that the address is right")
    if isinstance(error, ValueError | exceptions.InvalidPathError | exceptions.UnknownConfigurationKeyError):
        return InvalidArgument(f"{shown} is no name of an object; a name has no empty part (`//`), and no `.` or `..` alone")
    return PlaceAway(
        f"{shown} cannot be {doing}: {address.server} does not answer{code}, after some attempts; see that it runs, and that the address is right"
    )


def no_bucket(address: Address, shown: str) -> InvalidArgument:
    kind = "container" if address.scheme == "az" else "bucket"
    return InvalidArgument(f"{shown} does not exist: there is no {kind} {address.bucket} at {address.server}; make it, or name another")
