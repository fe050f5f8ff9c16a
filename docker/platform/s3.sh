#!/bin/sh
# Starts SeaweedFS with two keys from the environment, for the container and for the tests:
# `platform` may do everything, `team` reads and writes the bucket `hrm` alone.
# A model carries code that runs where it is loaded, so the team's key must not open MLflow's bucket.
set -eu
umask 077
identities=$(mktemp)
cat > "$identities" <<END
{"identities": [
  {"name": "platform",
   "credentials": [{"accessKey": "$S3_PLATFORM_KEY", "secretKey": "$S3_PLATFORM_SECRET"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "team",
   "credentials": [{"accessKey": "$S3_TEAM_KEY", "secretKey": "$S3_TEAM_SECRET"}],
   "actions": ["Read:hrm", "Write:hrm", "List:hrm", "Tagging:hrm"]}
]}
END
# Its parts talk to each other without passwords, on the loopback address; S3 alone is reached from elsewhere.
# Volumes are files of 1 GiB, made when needed; a thousand of them is the most that it stores.
exec weed -logtostderr=true server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
  -s3 -s3.config="$identities" -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.autoCreateBucket=false \
  -s3.port.iceberg=0 -s3.port.lance=0 -master.telemetry=false -master.volumeSizeLimitMB=1024 -volume.max=1000 \
  -volume.preStopSeconds=0 "$@"
