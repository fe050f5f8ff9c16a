"""Starts MLflow for a team: the one place of the server's options, for the container and for the tests.

No secret stands in the command line: PostgreSQL's address and password come from libpq's own variables (PGHOST, PGUSER,
PGPASSWORD, PGDATABASE), those of S3 from boto3's.
"""

import os
import sys
from pathlib import Path

import boto3

BUCKETS = ("mlflow", "hrm")
"""MLflow's artifacts, which it alone reads and writes; and the team's own: checkpoints, DVC's copies of the data."""

OPTIONS = (
    "--app-name=basic-auth",
    "--backend-store-uri=postgresql+psycopg2:///",
    # Clients send artifacts to MLflow, which checks who they are: they need no key of the bucket.
    "--serve-artifacts",
    "--artifacts-destination=s3://mlflow",
    # Each takes 300 MB and answers many clients at once.
    "--workers=2",
)


def make_buckets() -> None:
    """Make the buckets that are not there yet."""
    client = boto3.client("s3")
    for bucket in BUCKETS:
        try:
            client.create_bucket(Bucket=bucket)
        except client.exceptions.BucketAlreadyOwnedByYou:
            continue


def main() -> None:
    """Become MLflow's server, with further options from the command line."""
    make_buckets()
    here = Path(__file__).resolve().parent
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(here / "auth.ini")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here / "plugin"), os.environ.get("PYTHONPATH")]))
    os.execvp("mlflow", ["mlflow", "server", *OPTIONS, *sys.argv[1:]])  # noqa: S606, S607  # the one of this image


if __name__ == "__main__":
    main()
