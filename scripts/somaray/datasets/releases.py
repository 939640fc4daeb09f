"""Where a release of CELLxGENE Census lies, from the list its makers publish.

The list is a JSON mapping of versions to descriptions, `{"soma": {"uri": …, "s3_region": …}, "flags": …}`, and of aliases
(`stable`, `latest`) to versions. cellxgene_census knows its address, but waits for an answer without end and reads no other
list, hence the reading here.
"""

import http.client
import json
import urllib.request
from typing import Any, NamedTuple

from somaray.errors import SomarayError

REGION = "us-west-2"
"""Where Census lies if its list does not say."""

_TIMEOUT_SECONDS = 20.0
_LISTED = 30


class Release(NamedTuple):
    """Root of a release's SOMA collection, and the S3 region of its bucket."""

    uri: str
    region: str


def find_release(version: str, releases: str | None = None) -> Release:
    """Look up a version (`2024-07-01`) or an alias (`stable`, `latest`).

    Parameters
    ----------
    releases
        URL of the list; None is Census's own.

    Raises
    ------
    SomarayError
        If the list cannot be had, is no such list, lacks the version, or the version was retracted.
    """
    url = releases or own_list()
    listed = _read(url, version)
    found, seen = listed.get(version), {version}
    while isinstance(found, str) and found not in seen:
        seen.add(found)
        found = listed.get(found)
    if not isinstance(found, dict):
        raise SomarayError(f"version {version!r} is not one of Census's: expected one of {_choices(listed)}")
    if (found.get("flags") or {}).get("retracted"):
        raise SomarayError(f"version {version!r} of Census was retracted: expected one of {_choices(listed)}")
    try:
        soma = found["soma"]
        return Release(str(soma["uri"]), str(soma.get("s3_region") or REGION))
    except (KeyError, TypeError, AttributeError) as error:
        raise SomarayError(f"releases {url}: version {version!r} names no place of a SOMA collection") from error


def own_list() -> str:
    """URL of Census's own list."""
    from cellxgene_census._release_directory import CELL_CENSUS_RELEASE_DIRECTORY_URL

    return str(CELL_CENSUS_RELEASE_DIRECTORY_URL)


def _read(url: str, version: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
            listed = json.load(answer)
    except (OSError, http.client.HTTPException) as error:
        raise SomarayError(
            f"version {version!r}: the list of Census versions cannot be had from the network, {url} ({error}); to work "
            "offline give the key uri, the root of a local copy"
        ) from error
    except ValueError as error:
        raise SomarayError(f"releases {url!r}: not a list of Census versions in JSON ({error})") from error
    if not isinstance(listed, dict):
        raise SomarayError(f"releases {url!r}: not a list of Census versions, expected a JSON mapping")
    return listed


def _choices(listed: dict[str, Any]) -> str:
    offered = sorted(
        name
        for name, value in listed.items()
        if isinstance(value, str)
        or not ((value.get("flags") or {}) if isinstance(value, dict) else {}).get("retracted")
    )
    return (", ".join(offered[:_LISTED]) + (", …" if len(offered) > _LISTED else "")) or "none"
