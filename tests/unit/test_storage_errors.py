"""What S3's answers mean for a user: which key to look at. The texts are those of TileDB's S3 client."""

import pytest

from somaray.credentials import names_credential, uri_holds_credential
from somaray.datasets.storage_errors import explain_s3, plain_message

ANONYMOUS = {"vfs.s3.no_sign_request": "true", "vfs.s3.region": "us-east-1"}
HEADERS = "[Remote IP: 10.0.0.1] [Request ID: abc] [Headers: 'server' = 'AmazonS3' 'x-amz-id-2' = 'xyz']"


def s3_error(code, name="", said="No response body."):
    exception = f" [Exception: {name}]" if name else ""
    return RuntimeError(
        f"S3: Error while listing with prefix 's3://b/e/'[Error Type: 100] [HTTP Response Code: {code}]{exception} {HEADERS} : {said}"
    )


@pytest.mark.parametrize(
    ("error", "settings", "said"),
    [
        (s3_error(301, "PermanentRedirect"), ANONYMOUS, "another region: expected its own in tiledb: vfs.s3.region, got 'us-east-1'"),
        (s3_error(400, "AuthorizationHeaderMalformed"), {}, "another region.*got ''"),
        (s3_error(301), ANONYMOUS, "another region"),
        (s3_error(404, "NoSuchBucket"), {}, "no such bucket on Amazon S3: check uri"),
        (s3_error(403, "AccessDenied"), ANONYMOUS, "no access for anonymous requests.*vfs.s3.no_sign_request to false"),
        (s3_error(403), {}, "credentials are missing or lack the right.*AWS_PROFILE.*no_sign_request: true"),
        (s3_error(400, "ExpiredToken"), {}, "the credentials are refused \\(ExpiredToken\\)"),
        (s3_error(-1, said="curlCode: 28, Timeout was reached"), ANONYMOUS, "does not answer \\(Timeout was reached\\)"),
    ],
)  # fmt: skip
def test_each_answer_names_its_key(error, settings, said):
    import re

    explained = explain_s3(error, settings)
    assert re.search(said, explained)
    assert "\n" not in explained
    assert "10.0.0.1" not in explained


def test_other_errors_speak_for_themselves():
    assert explain_s3(s3_error(500, "InternalError"), {}) is None
    assert explain_s3(ValueError("[HTTP Response Code: 403]"), {}) is None
    assert plain_message(s3_error(500, "InternalError")) == (
        "S3: Error while listing with prefix 's3://b/e/' [HTTP Response Code: 500] [Exception: InternalError] : No response body."
    )


@pytest.mark.parametrize(
    "name",
    [
        "vfs.s3.aws_secret_access_key", "vfs.s3.aws_access_key_id", "vfs.s3.aws_session_token", "vfs.s3.proxy_password",
        "vfs.azure.storage_account_key", "vfs.azure.storage_account_sas_token", "vfs.gcs.service_account_key",
        "vfs.gcs.workload_identity_configuration", "rest.token", "rest.password", "sm.encryption_key", "DASK_GATEWAY_API_TOKEN",
    ],
)  # fmt: skip
def test_credentials_are_known_by_name(name):
    assert names_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        "vfs.s3.region",
        "vfs.s3.no_sign_request",
        "vfs.s3.endpoint_override",
        "sm.mem.total_budget",
        "sm.encryption_type",
    ],
)
def test_other_settings_are_none(name):
    assert not names_credential(name)


def test_credentials_in_uris():
    assert uri_holds_credential("https://key:secret@host/x")
    assert uri_holds_credential("https://host/x?X-Amz-Signature=abc")
    assert not uri_holds_credential("s3://bucket/cell@home/x")
    assert not uri_holds_credential("127.0.0.1:5000")
    assert not uri_holds_credential("/folder/a:b@c")
