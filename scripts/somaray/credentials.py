"""Tell credentials by how they are named, so that none gets into a configuration or a record."""

import re
from urllib.parse import urlsplit

WHERE = "expected them in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or a profile (AWS_PROFILE)"

_NAME = re.compile(
    r"secret|token|passw|credential|(access|account|encryption|api|private)_?key|workload_identity|signature",
    re.IGNORECASE,
)


def names_credential(name: str) -> bool:
    """Whether a setting or an environment variable of this name may hold a credential."""
    return _NAME.search(name) is not None


def uri_holds_credential(uri: str) -> bool:
    """Whether a URI names a password (`https://user:password@host`) or carries a signature."""
    parts = urlsplit(uri)
    return ":" in parts.netloc.rpartition("@")[0] or names_credential(parts.query)
