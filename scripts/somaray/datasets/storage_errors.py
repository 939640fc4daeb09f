"""What goes wrong with object storage, in a line that says which key to look at.

TileDB passes on what its S3 client said: an `[Exception: NAME]` of S3's own list of error codes, an HTTP code, or curl's
reason, amid all headers of the answer.
"""

import re
from collections.abc import Mapping

from somaray.credentials import WHERE

NO_SIGN = "vfs.s3.no_sign_request"
REGION = "vfs.s3.region"
ENDPOINT = "vfs.s3.endpoint_override"

_REFUSED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired")
_ELSEWHERE = (
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
)
_NOISE = re.compile(r" ?\[(?:Error Type|Remote IP|Request ID|Headers|HTTP Response Code: -1)[^\]]*\]")


def plain_message(error: BaseException) -> str:
    """Give a library's whole message and what caused it, without the Python frames and HTTP headers it appends."""
    text = _NOISE.sub("", str(error).partition("\n\nAt:\n")[0]).strip().removeprefix("SOMAError: ")
    cause = _NOISE.sub("", str(error.__cause__ or ""))
    return f"{text} ({cause})" if cause and cause not in text else text


def explain_s3(error: BaseException, settings: Mapping[str, str]) -> str | None:
    """Say what an S3 error means and what to change; None if it is none, or one that speaks for itself.

    Parameters
    ----------
    settings
        TileDB's settings the storage was opened with.
    """
    text = str(error)
    if "S3" not in text:
        return None
    code, name = _match(r"\[HTTP Response Code: (\d+)\]", text), _match(r"\[Exception: (\w+)\]", text)
    endpoint, region = settings.get(ENDPOINT) or "Amazon S3", settings.get(REGION) or ""
    unsigned = settings.get(NO_SIGN) == "true"
    if "curlCode" in text:
        reason = _match(r"curlCode: \d+, ([^;]+)", text) or "no answer"
        return (
            f"{endpoint} does not answer ({reason.strip()}): check the network and tiledb: "
            f"{ENDPOINT}, vfs.s3.scheme, {REGION} {region!r}"
        )
    if name == "NoSuchBucket" or "specified bucket does not exist" in text:
        return f"there is no such bucket on {endpoint}: check uri, and tiledb: {ENDPOINT}"
    if code in ("301", "307") or name in _ELSEWHERE:
        return f"the bucket lies in another region: expected its own in tiledb: {REGION}, got {region!r}"
    if name in _REFUSED:
        return f"the credentials are refused ({name}): {WHERE}, valid for {endpoint}"
    if code == "403" and unsigned:
        return f"no access for anonymous requests: check uri, or set tiledb: {NO_SIGN} to false and give credentials"
    if code == "403":
        return (
            f"no access: credentials are missing or lack the right; {WHERE}, or tiledb: {NO_SIGN}: true for public data"
        )
    return None


def _match(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None
