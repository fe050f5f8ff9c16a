"""A folder in an S3 bucket: its files, and what can go wrong with it in a line.

Server and credentials come from where boto3 looks for them: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `~/.aws`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hrm.errors import UserError
from hrm.tracking.server import public_uri, reason


class Bucket:
    """The objects below `s3://bucket/prefix`."""

    def __init__(self, uri: str) -> None:
        """Make a client; nothing is sent yet.

        Raises:
            UserError: when boto3 is missing, or cannot use what its variables and files say.
        """
        self.uri = uri.rstrip("/")
        self._bucket, _, self._prefix = self.uri.removeprefix("s3://").partition("/")
        try:
            # Imported late: it is slow to load, and most runs have no bucket.
            import boto3
            from boto3.s3.transfer import TransferConfig
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise UserError(f"{uri}: boto3 is not installed; install it with `pip install boto3`") from None
        config = Config(
            connect_timeout=10,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 3},
            # Not every store knows boto3's own checksums; checkpoints bring theirs.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            self._client = boto3.session.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise UserError(f"{uri}: {reason(error)}; check the AWS_ variables and ~/.aws") from None
        # In the calling thread alone: threads of a pool would keep a process alive that wants to end.
        self._in_this_thread = TransferConfig(use_threads=False)

    def names(self) -> list[str]:
        """All objects, by their path below the prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._key(""))
        return [item["Key"].removeprefix(self._key("")) for page in pages for item in page.get("Contents", ())]

    def upload(self, file: Path, name: str) -> None:
        """Store a file; an object is there in whole or not at all."""
        self._client.upload_file(str(file), self._bucket, self._key(name), Config=self._in_this_thread)

    def download(self, name: str, file: Path) -> None:
        """Write an object to a file."""
        self._client.download_file(self._bucket, self._key(name), str(file))

    def delete(self, name: str) -> None:
        """Remove an object."""
        self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    @contextmanager
    def required(self) -> Iterator[None]:
        """Inside, whatever boto3 raises becomes one line.

        Raises:
            UserError: when the server cannot be reached or refuses.
        """
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise UserError(f"{self.uri}: {self.explain(error)}") from None

    def explain(self, error: BaseException) -> str:
        """What went wrong and the remedy, in part of a line, without credentials."""
        from boto3.exceptions import Boto3Error
        from botocore import exceptions

        server = public_uri(self._client.meta.endpoint_url)
        if isinstance(error, Boto3Error) and error.__context__ is not None:
            error = error.__context__  # the transfer's own error tells the names of temporary files
        match error:
            case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
                return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            case exceptions.ConnectionError() | exceptions.HTTPClientError():
                name = type(error).__name__
                return f"{server} cannot be reached ({name}); check the network and AWS_ENDPOINT_URL"
            case exceptions.ClientError():
                code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
                if code == "NoSuchBucket":
                    return f"{server} has no such bucket; make it, or change train.checkpoints.mirror"
                unknown = status in (401, 403) or "Token" in code  # as in ExpiredToken
                remedy = "check AWS_ACCESS_KEY_ID and its rights" if unknown else "try again later"
                return f"{server} refuses ({code}); {remedy}"
        return reason(error)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name
