"""A launcher that is killed, stopped, refused or lied to, in front of a cluster that says what the test wants."""

import logging
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from kube_api import KubeApi
from launching import complete, completing, start_launcher, work_in
from s3_server import S3Server
from trainer_objects import pod_of

from hrm.cluster import Job, train_on_nodes
from hrm.cluster.job import job_name
from hrm.cluster.stored import retrieve, store
from hrm.config import CheckpointSettings, TrainSettings
from hrm.data.dataset import open_dataset
from hrm.errors import UserError


def contents(run: Path) -> dict[str, bytes]:
    files = (file for file in run.rglob("[!.]*") if file.is_file())
    return {file.relative_to(run).as_posix(): file.read_bytes() for file in files}


def test_a_killed_launcher_is_started_again_and_follows_its_job(
    api: KubeApi,
    settings: TrainSettings,
    dataset: Path,
    finished: Path,
    job: Job,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = start_launcher(settings, job, dataset, tmp_path / "run")
    api.wait_for(lambda: api.streams)
    first.kill()
    first.communicate()
    assert not api.deleted
    api.say(api.pods[0], "said while nobody listened")

    def end() -> None:
        api.wait_for(lambda: api.streams > 1)
        complete(api, api.created[0], finished)

    threading.Thread(target=end).start()
    train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    assert len(api.created) == 1
    assert contents(tmp_path / "run") == contents(finished)
    assert "said while nobody listened" in capfd.readouterr().out


def test_a_stopped_launcher_deletes_its_job_and_the_next_one_makes_it_anew(
    api: KubeApi, settings: TrainSettings, dataset: Path, finished: Path, job: Job, tmp_path: Path
) -> None:
    """Not before the pods of the first are gone: two trainings would write into one mirror."""
    first = start_launcher(settings, job, dataset, tmp_path / "run")
    api.wait_for(lambda: api.streams)
    api.lingers = True
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 143, said
    name = api.created[0]["metadata"]["name"]
    assert api.deleted == [name]
    completing(api, finished)

    def end() -> None:
        api.wait_for(lambda: len(api.deleted) > 1)
        time.sleep(0.5)
        assert len(api.created) == 1
        api.remove(name)

    threading.Thread(target=end).start()
    train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    assert [made["metadata"]["name"] for made in api.created] == [name, name]
    assert contents(tmp_path / "run") == contents(finished)


def test_a_failed_job_is_told_with_the_last_words_of_its_nodes_and_made_anew(
    api: KubeApi,
    settings: TrainSettings,
    dataset: Path,
    finished: Path,
    job: Job,
    tmp_path: Path,
    s3: S3Server,
) -> None:
    """The second launcher finds the dataset in the bucket."""

    def on_create(trainjob: dict[str, Any]) -> None:
        api.run_quietly(trainjob)
        for number in range(30):
            api.say(api.pods[1], f"line {number}")
        api.end_pod(api.pods[1], 137, "OOMKilled")
        api.end_pod(api.pods[0], 0)
        api.end(trainjob["metadata"]["name"], "Failed", "FailedJobs", "jobset failed")

    api.on_create = on_create
    with pytest.raises(RuntimeError) as caught:
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    told = str(caught.value).splitlines()
    assert told[0].endswith("failed: FailedJobs: jobset failed")
    assert told[1:] == ["node 1: OOMKilled, exit status 137", *(f"  line {number}" for number in range(15, 30))]
    assert not (tmp_path / "run").exists()
    uploaded = objects(s3, work_in(api.created[0])["dataset"])
    completing(api, finished)
    train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    assert (len(api.created), len(api.deleted)) == (2, 1)
    assert contents(tmp_path / "run") == contents(finished)
    assert uploaded, "its files"
    assert objects(s3, work_in(api.created[1])["dataset"]) == uploaded, "uploaded once"


def objects(s3: S3Server, uri: str) -> dict[str, object]:
    """When each object below a prefix was written."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    client = s3.client()
    found = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    client.close()
    return {item["Key"]: item["LastModified"] for item in found}


def test_every_line_of_a_log_that_breaks_off_is_told_once(
    api: KubeApi,
    settings: TrainSettings,
    dataset: Path,
    finished: Path,
    job: Job,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The API is away for a while, too, and the node is replaced in the end."""
    lines = [f"line {number} ≥ 0" for number in range(12)]

    def talk(trainjob: dict[str, Any]) -> None:
        for line in lines[:8]:
            api.say(api.pods[0], line)
        api.refusals = [503, 500, 429]
        api.wait_for(lambda: api.streams > 2)
        api.end_pod(api.pods[0], 1)
        second = api.add_pod(pod_of(trainjob, 0, "second"), "Running")
        second.body["metadata"]["creationTimestamp"] = "2099-01-01T00:00:00Z"
        for line in lines[8:]:
            api.say(second, line)
        complete(api, trainjob, finished)

    def on_create(trainjob: dict[str, Any]) -> None:
        api.run_quietly(trainjob)
        threading.Thread(target=talk, args=[trainjob]).start()

    api.on_create, api.cuts = on_create, [3, 6, 100, 1]
    train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    assert capfd.readouterr().out.splitlines() == lines
    assert len(api.created) == 1


def test_why_a_node_does_not_run_is_told_once(
    api: KubeApi,
    settings: TrainSettings,
    dataset: Path,
    finished: Path,
    job: Job,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lack = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes have 8 GPUs"}

    def on_create(trainjob: dict[str, Any]) -> None:
        api.add_pod(pod_of(trainjob, 0), "Pending", conditions=[lack])
        threading.Timer(1, complete, [api, trainjob, finished]).start()

    api.on_create = on_create
    with caplog.at_level(logging.INFO, logger="hrm"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    assert sum("waiting (node 0: 0/3 nodes have 8 GPUs)" in record.message for record in caplog.records) == 1


def test_a_job_that_somebody_deletes_ends_the_launcher(
    api: KubeApi, settings: TrainSettings, dataset: Path, job: Job, tmp_path: Path
) -> None:
    def on_create(trainjob: dict[str, Any]) -> None:
        threading.Timer(0.3, api.remove, [trainjob["metadata"]["name"]]).start()

    api.on_create = on_create
    with pytest.raises(UserError, match="deleted while it was running"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)


def test_a_run_that_is_there_needs_no_job(
    api: KubeApi, settings: TrainSettings, dataset: Path, finished: Path, job: Job, tmp_path: Path
) -> None:
    """The launcher was killed while it downloaded; and is asked once more when all is done."""
    completing(api, finished)
    train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    api.trainjobs.clear()
    train_on_nodes(settings, dataset, tmp_path / "again", "tiny", job)
    assert contents(tmp_path / "again") == contents(finished)
    api.calls.clear()
    train_on_nodes(settings, dataset, tmp_path / "again", "tiny", job)
    assert not api.calls
    assert len(api.created) == 1


def test_what_is_not_the_run_does_not_come_into_its_place(
    api: KubeApi, settings: TrainSettings, dataset: Path, finished: Path, job: Job, tmp_path: Path, s3: S3Server
) -> None:
    completing(api, finished)
    with pytest.raises(UserError, match="not the finished run of this training"):
        train_on_nodes(settings.model_copy(update={"seed": 1}), dataset, tmp_path / "run", "tiny", job)
    train_on_nodes(settings, dataset, tmp_path / "right", "tiny", job)
    bucket, _, prefix = work_in(api.created[-1])["run"].removeprefix("s3://").partition("/")
    client = s3.client()
    client.put_object(Bucket=bucket, Key=f"{prefix}/files/curves.csv", Body=b"step\n")
    with pytest.raises(UserError, match=r"files/curves\.csv: damaged"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    client.delete_object(Bucket=bucket, Key=f"{prefix}/whole.json")
    client.close()
    with pytest.raises(UserError, match="not stored in whole"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "of_job", "message"),
    [
        ({"checkpoints": CheckpointSettings()}, {}, r"train\.checkpoints\.mirror: .*s3://bucket/prefix"),
        ({}, {"nodes": 3}, r"train\.batch_size = 4 must be divisible by the number of processes = 3"),
        ({}, {"gpus_per_node": 8}, "number of processes = 16"),
        ({}, {"runtime": "absent"}, r"Failed to get Runtime: absent.*refused with 404.*no such.*name another runtime"),
        ({}, {"node_selector": {"a": "b"}, "run_id": "x"}, r"refused with 422 \(unknown.*change the job's settings"),
    ],
)
def test_mistakes_are_told_in_a_line(
    changed: dict[str, Any],
    of_job: dict[str, Any],
    message: str,
    api: KubeApi,
    settings: TrainSettings,
    dataset: Path,
    job: Job,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainer_objects.refused", lambda body: "unknown" if job_of_x(body) else "")
    with pytest.raises(UserError, match=message) as caught:
        train_on_nodes(
            settings.model_copy(update=changed), dataset, tmp_path / "run", "tiny", job.model_copy(update=of_job)
        )
    assert "\n" not in str(caught.value)
    assert not api.created


def job_of_x(body: dict[str, Any]) -> bool:
    return body["metadata"]["labels"]["hrm/run-id"] == "x"


def test_a_launcher_without_rights_names_the_manifest(
    api: KubeApi, settings: TrainSettings, dataset: Path, job: Job, tmp_path: Path
) -> None:
    api.refusals = [200, 403]  # the first asks for the version of the Trainer
    with pytest.raises(UserError, match=r"refused with 403 .*apply pipelines/manifests/trainjob\.yaml"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)


def test_other_files_stay(api: KubeApi, settings: TrainSettings, dataset: Path, job: Job, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").touch()
    with pytest.raises(UserError, match="something else is in this folder"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)


def test_neither_a_missing_package_nor_a_missing_cluster_is_a_traceback(
    settings: TrainSettings, dataset: Path, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = str(tmp_path / "absent")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", absent)
    with pytest.raises(UserError, match=r"no cluster to train on: .*KUBECONFIG"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    monkeypatch.setitem(sys.modules, "kubeflow.trainer", None)
    with pytest.raises(UserError, match=r"hrm-mlops\[cluster\]"):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)


def test_the_name_says_which_training_it_is(settings: TrainSettings, dataset: Path) -> None:
    data = open_dataset(dataset)
    first = job_name("Arc_1.x", settings, data, "run-1")
    assert re.fullmatch(r"hrm-arc-1-x-[0-9a-f]{10}", first)
    assert job_name("Arc_1.x", settings, data, "run-1") == first
    others = [
        job_name("arc-2", settings, data, "run-1"),
        job_name("Arc_1.x", settings.model_copy(update={"seed": 1}), data, "run-1"),
        job_name("Arc_1.x", settings, data, "run-2"),
    ]
    assert len({first, *others}) == 4
    long = job_name("_" + "x" * 100, settings, data, "run-1")
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", long)
    assert len(f"{long}-node-0-15-abcde") < 63


def test_hidden_files_are_not_stored(settings: TrainSettings, tmp_path: Path) -> None:
    (tmp_path / "folder/.hidden").mkdir(parents=True)
    for name in ("a", ".lock", ".hidden/b"):
        (tmp_path / "folder" / name).write_text(name)
    uri = f"{settings.checkpoints.mirror}/x"
    store(tmp_path / "folder", uri)
    retrieve(uri, tmp_path / "back")
    assert contents(tmp_path / "back") == {"a": b"a"}
