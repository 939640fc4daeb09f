"""S3 without the net: buckets on loopback, and what was asked of them."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import requests

REGION = "us-west-2"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")


@dataclass(frozen=True)
class Key:
    """An access key that the server knows."""

    id: str
    secret: str

    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}


class S3Server:
    """A running server; see `serve`."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    @property
    def tiledb(self) -> dict[str, str]:
        """TileDB settings that lead here."""
        return {
            "vfs.s3.endpoint_override": f"127.0.0.1:{self.port}",
            "vfs.s3.scheme": "http",
            "vfs.s3.use_virtual_addressing": "false",
            "vfs.s3.region": REGION,
        }

    @property
    def anonymous(self) -> dict[str, str]:
        """The same, for requests without a signature."""
        return {**self.tiledb, "vfs.s3.no_sign_request": "true"}

    def _client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)

    @cached_property
    def _s3(self) -> Any:
        return self._client("s3")

    @cached_property
    def key(self) -> Key:
        """The key of a user who may do all; looked at only within `keys_checked`."""
        iam = self._client("iam")
        iam.create_user(UserName="reader")
        rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(rights))
        made = iam.create_access_key(UserName="reader")["AccessKey"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"])

    @contextlib.contextmanager
    def keys_checked(self) -> Iterator[None]:
        """Refuse every signature but that of `key`."""
        _ = self.key
        requests.post(f"{self.url}/moto-api/reset-auth", data="0", timeout=10)
        try:
            yield
        finally:
            requests.post(f"{self.url}/moto-api/reset-auth", data="inf", timeout=10)

    def create_bucket(self, name: str) -> None:
        self._s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def put(self, bucket: str, key: str, body: bytes, public: bool = True) -> None:
        self._s3.put_object(Bucket=bucket, Key=key, Body=body, ACL="public-read" if public else "private")

    def upload(self, folder: Path, bucket: str, prefix: str, public: bool = True) -> str:
        """Put all files below a folder into a bucket; returns the URI they are under."""
        files = [path for path in folder.rglob("*") if path.is_file()]
        with ThreadPoolExecutor(4) as pool:
            keys = [f"{prefix}/{path.relative_to(folder)}" for path in files]
            list(pool.map(lambda key, path: self.put(bucket, key, path.read_bytes(), public), keys, files))
        return f"s3://{bucket}/{prefix}"

    def requests(self) -> list[dict[str, Any]]:
        """All requests so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[S3Server]:
    """Run a server as a process of its own on a free port."""
    log = folder / "requests.jsonl"
    log.touch()
    program = Path(__file__).with_name("s3_server.py")
    environment = {name: value for name, value in os.environ.items() if name not in CREDENTIALS}
    with (
        (folder / "server.log").open("w") as stderr,
        subprocess.Popen(
            [sys.executable, str(program), str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            text=True,
        ) as process,
    ):
        try:
            yield S3Server(int(process.stdout.readline()), log)
        finally:
            process.terminate()
