"""What is sent is what kfp's own client would send, and nothing is sent that cannot run."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Command, Done, environment, process, refused
from kfp_server import UNKNOWN, KfpServer, at, node, pipeline_spec_of, running

from hrm.errors import UserError
from pipelines.catalogue import PIPELINES
from pipelines.compile import compiled
from pipelines.schedule import six_fields

MINI = ("--experiment", "sudoku-mini")
NODES = [
    node("hrm-train-x7f2k", "RUNNING", 0),
    node("root", "RUNNING", 1),
    node("fetch-driver", "SUCCEEDED", 1, 9),
]
COURSE = [
    {"state": "RUNNING", "run_details": {"task_details": NODES}},
    {"state": "RUNNING", "run_details": {"task_details": [*NODES, node("fetch", "RUNNING", 9)]}},
    {"state": "RUNNING", "run_details": {"task_details": [*NODES, node("fetch", "RUNNING", 9)]}},
    {"state": "SUCCEEDED", "finished_at": at(70)}
    | {"run_details": {"task_details": [node("fetch", "SUCCEEDED", 9, 69)]}},
]


def sent(kfp: KfpServer) -> dict[str, Any]:
    """What the last request that changed something held."""
    return next(request.body for request in reversed(kfp.requests) if request.method == "POST")


def succeeded(done: Done) -> Done:
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("pipeline", ["train", "sweep"])
def test_a_pipeline_is_sent_whole(pipeline: str, kfp: KfpServer, command: Command) -> None:
    done = succeeded(command("submit", pipeline, *MINI, "--host", kfp.host, "-o", "train.seed=3", "--gpus", "2"))
    (identity,) = kfp.runs
    assert done.stdout == f"{identity}\n"
    assert f"{kfp.host}/#/runs/details/{identity}" in done.stderr
    body = sent(kfp)
    assert body["display_name"].startswith(f"{pipeline} sudoku-mini 20")
    assert kfp.experiments[body["experiment_id"]]["display_name"] == "sudoku-mini"
    spec = pipeline_spec_of(body)
    assert spec.pipeline_info.name == PIPELINES[pipeline].pipeline_spec.pipeline_info.name
    assert spec == PIPELINES[pipeline].pipeline_spec
    parameters = body["runtime_config"]["parameters"]
    assert parameters["overrides"] == ["train.seed=3"]
    assert parameters["gpus"] == "2"
    assert set(parameters) <= set(spec.root.input_definitions.parameters)


def test_it_is_what_the_client_of_kfp_would_send(
    kfp: KfpServer, command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also shows that the test's server is one that kfp takes for real."""
    import kfp as sdk

    monkeypatch.setenv("HOME", str(project))
    succeeded(command("submit", *MINI, "--host", kfp.host))
    ours = sent(kfp)
    (project / "train.yaml").write_text(compiled("train"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = sdk.Client(host=kfp.host)
        client.create_run_from_pipeline_package(
            str(project / "train.yaml"),
            ours["runtime_config"]["parameters"],
            run_name=ours["display_name"],
            experiment_name="sudoku-mini",
        )
        assert [run.run_id for run in client.list_runs().runs] == list(kfp.runs)
        assert sent(kfp) == ours
        succeeded(command("submit", *MINI, "--host", kfp.host, "--recurring", "0 0 3 * * 1"))
        ours = sent(kfp)
        client.create_recurring_run(
            ours["experiment_id"],
            ours["display_name"],
            cron_expression="0 0 3 * * 1",
            no_catchup=True,
            params=ours["runtime_config"]["parameters"],
            pipeline_package_path=str(project / "train.yaml"),
        )
    assert sent(kfp) == ours
    assert len(kfp.recurring) == 2
    assert len(kfp.experiments) == 1, "a group of runs is found again"


def test_the_image_and_any_parameter(kfp: KfpServer, command: Command) -> None:
    image = "registry.example.org:5000/team/hrm-mlops@sha256:" + "0" * 64
    options = ["--image", image, "--param", "minimum_scores={pass@2: 0.3}", "--param", "node_selector={gpu: h100}"]
    succeeded(command("submit", *MINI, "--host", kfp.host, *options))
    parameters = sent(kfp)["runtime_config"]["parameters"]
    assert parameters["image"] == image
    assert parameters["minimum_scores"] == {"pass@2": 0.3}
    assert parameters["node_selector"] == {"gpu": "h100"}


def test_no_secret_is_sent(kfp: KfpServer, command: Command) -> None:
    """Whatever the environment holds: steps have their credentials from the cluster's secrets."""
    names = ("KFP_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "WANDB_API_KEY")
    secrets = {name: f"private-{name}" for name in names}
    done = succeeded(command("submit", *MINI, "--host", kfp.host, "-v", **secrets))
    assert "private-" not in str([request.body for request in kfp.requests])
    assert "private-" not in done.stdout + done.stderr
    assert {request.headers["authorization"] for request in kfp.requests} == {"Bearer private-KFP_TOKEN"}


def test_a_shared_server(kfp: KfpServer, command: Command) -> None:
    kfp.multi_user = True
    succeeded(command("submit", *MINI, "--host", kfp.host, "--namespace", "team"))
    assert next(iter(kfp.experiments.values()))["namespace"] == "team"


def test_no_step_is_answered_from_the_cache(kfp: KfpServer, command: Command) -> None:
    def cached(body: dict[str, Any]) -> list[str]:
        spec = pipeline_spec_of(body)
        dags = [spec.root.dag, *(component.dag for component in spec.components.values())]
        return [name for dag in dags for name, task in dag.tasks.items() if task.caching_options.enable_cache]

    succeeded(command("submit", *MINI, "--host", kfp.host))
    assert cached(sent(kfp))
    succeeded(command("submit", *MINI, "--host", kfp.host, "--no-cache"))
    assert not cached(sent(kfp))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--experiment", "chess"], ["chess", "no such experiment", "sudoku-mini"]),
        ([*MINI, "-o", "train.batchsize=3"], ["train.batchsize", "no such setting"]),
        ([*MINI, "--experiment", "maze-mini"], ["--experiment", "takes one", "sweep"]),
        (["sweep", *MINI, "--experiment", "chess"], ["chess", "no such experiment"]),
        ([*MINI, "--param", "speed=3"], ["speed", "mirror"]),
        ([*MINI, "--param", "minimum_scores=3"], ["minimum_scores", "a mapping"]),
        ([*MINI, "--param", "tolerations={}"], ["tolerations", "a list"]),
        ([*MINI, "--gpus", "many"], ["gpus", "many", "a whole number"]),
        ([*MINI, "--image", "HRM mlops"], ["--image HRM mlops", "registry.example.org/hrm-mlops:gpu"]),
        ([*MINI, "--image", "hrm-mlops:"], ["--image hrm-mlops:", "not an image's name"]),
        ([*MINI, "--param", "image=https://registry.example.org/x"], ["not an image's name"]),
        (["evaluate", *MINI], ["--param model=", "address"]),
        ([*MINI, "--recurring", ""], ["--recurring ''", "six fields"]),
        ([*MINI, "--param", "node_selector={zone: 1}"], ["node_selector={zone: 1}", "put quotes around it"]),
        ([*MINI, "--param", "node_selector={zone: 2026-01-01}"], ["node_selector", "not as JSON has it"]),
        ([*MINI, "--param", "node_selector=&a {zone: *a}"], ["node_selector", "not as JSON has it"]),
        ([*MINI, "--param", "tolerations=[{key: .nan}]"], ["tolerations", "not as JSON has it"]),
        ([*MINI, "--param", "tolerations=[null]"], ["tolerations", "expected a list of mappings"]),
        ([*MINI, "--param", "gpus=" + "9" * 5000], ["gpus = 9", "expected a whole number"]),
        (["sweep", *MINI, "--param", "seeds=[1, 1]"], ["seeds: 1 stands there twice"]),
        (["sweep", *MINI, "--param", "seeds=[1.5]"], ["seeds: 1.5"]),
        (["sweep", *MINI, "--param", "metric=exact"], ["metric: sudoku-mini has no score 'exact'"]),
        (["train-nodes", *MINI, "--param", "mirror="], ["train-nodes needs --param mirror=...: s3://"]),
        (["train-nodes", *MINI, "--param", "mirror=s3://b", "--param", "nodes=0"], ["nodes = 0"]),
        (["evaluate", *MINI, "--param", "model="], ["evaluate needs --param model=...: address"]),
        ([*MINI, "--recurring", "0 3 * *"], ["--recurring '0 3 * *'", "six fields"]),
        ([*MINI, "--recurring", "0 0 25 * * 1"], ["hour: 25", "0 to 23"]),
        ([*MINI, "--params", "none.yaml"], ["none.yaml", "--params FILE"]),
    ],
)
def test_a_mistake_is_found_before_anything_is_sent(
    arguments: list[str], parts: list[str], kfp: KfpServer, command: Command
) -> None:
    for end in (["--host", kfp.host], ["--dry-run"]):
        line = refused(command("submit", *arguments, *end))
        assert all(part in line for part in parts), line
    assert kfp.requests == []


@pytest.mark.parametrize("address", ["s3://ann:secret@bucket/model", "https://ann:sec:ret@host/model"])
def test_a_password_in_an_address_is_neither_sent_nor_shown(address: str, command: Command) -> None:
    line = refused(command("submit", "evaluate", *MINI, "--param", f"model={address}", "--dry-run"))
    assert line == "hrm: error: --param model: no user or password in an address, which ends up in logs"


def test_what_json_cannot_hold_is_refused_wherever_the_settings_have_it(project: Path, command: Command) -> None:
    file = project / "params.yaml"
    file.write_text(file.read_text().replace("sources:\n", "sources:\n  other: {origin: folder, path: .nan}\n", 1))
    assert refused(command("submit", *MINI, "--dry-run")).startswith("hrm: error: params.yaml: not as JSON has it")


def test_a_dry_run_sends_nothing(kfp: KfpServer, command: Command) -> None:
    done = succeeded(command("submit", "sweep", *MINI, "--param", "seeds=[1, 2]", "--dry-run", KFP_HOST=kfp.host))
    shown = yaml.safe_load(done.stdout)
    assert shown["pipeline"] == "sweep"
    assert shown["parameters"]["experiments"] == ["sudoku-mini"]
    assert shown["parameters"]["seeds"] == [1, 2]
    assert kfp.requests == []
    succeeded(command("submit", "sweep", *MINI, "--param", "seeds=[1, 2]", KFP_HOST=kfp.host))
    assert sent(kfp)["runtime_config"]["parameters"] == shown["parameters"]


def test_a_recurring_run(kfp: KfpServer, command: Command) -> None:
    done = succeeded(command("submit", *MINI, "--host", kfp.host, "--recurring", "30 3 * * MON"))
    (identity,) = kfp.recurring
    assert done.stdout == f"{identity}\n"
    assert "'0 30 3 * * MON'" in done.stderr
    assert f"{kfp.host}/#/recurringrun/details/{identity}" in done.stderr
    body = sent(kfp)
    assert body["trigger"] == {"cron_schedule": {"cron": "0 30 3 * * MON"}}
    assert (body["mode"], body["no_catchup"], body["max_concurrency"]) == ("ENABLE", True, 1)
    assert pipeline_spec_of(body).root.dag.tasks
    assert kfp.runs == {}


@pytest.mark.parametrize("text", ["0 0 3 * * 1", "0 */15 8-18 ? JAN-MAR,12 mon-fri", "5/10 0 0 1,15 * *"])
def test_six_fields_stay(text: str) -> None:
    assert six_fields(text) == text


@pytest.mark.parametrize("text", ["", "@daily", "0 0 3 * *  1 2026", "0 0 3 0 * *", "0 0 3 * * 7", "0 0 5-3 * * *"])
def test_what_is_no_cron_expression(text: str) -> None:
    with pytest.raises(UserError, match="--recurring"):
        six_fields(text)
    with pytest.raises(UserError, match="second: x:"):
        six_fields("x 0 3 * * *")


def test_waiting_to_the_end(kfp: KfpServer, command: Command) -> None:
    """Each change is one line; a server that is away for a moment does not end it."""
    kfp.course, kfp.away = COURSE, 1
    lines = succeeded(command("submit", *MINI, "--host", kfp.host, "--wait")).stderr.splitlines()
    assert "waiting on" in lines[1]
    assert lines[2:4] == ["fetch: running", "fetch: succeeded, 1 min"]
    assert lines[4].endswith("succeeded, 1 min 10 s")
    assert len(lines) == 5


def test_waiting_for_a_run_that_fails(kfp: KfpServer, project: Path) -> None:
    failed = [
        *NODES,
        node("fetch", "FAILED", 9, 69, error={"message": "no such revision"}),
        node("executor", "FAILED", 10),
    ]
    kfp.course = [*COURSE[:2], {"state": "FAILED", "run_details": {"task_details": failed}}]
    done = process(project, "submit", *MINI, "--host", kfp.host, "--wait")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "failed: fetch: no such revision; its logs: " in last
    assert last.endswith(f"/#/runs/details/{done.stdout.strip()}")


def test_waiting_for_a_run_that_somebody_ends(kfp: KfpServer, command: Command) -> None:
    kfp.course = [{"state": "CANCELED", "finished_at": at(9)}]
    done = command("submit", *MINI, "--host", kfp.host, "--wait")
    assert done.returncode == 1
    assert "canceled" in done.stderr


def test_waiting_ends_when_the_server_refuses(command: Command) -> None:
    """As when the token was withdrawn."""

    class Revoking(KfpServer):
        def _look(self, identity: str) -> dict[str, Any]:
            self.token = "another"
            return super()._look(identity)

    with running(Revoking(course=[{"state": "RUNNING"}])) as server:
        done = command("submit", *MINI, "--host", server.host, "--wait", KFP_TOKEN="stale")
    assert done.returncode == 2
    assert "not signed in (401)" in done.stderr.splitlines()[-1]


def test_waiting_has_an_end(kfp: KfpServer, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.follow.PATIENCE", 1.0)
    kfp.away = 100
    done = command("submit", *MINI, "--host", kfp.host, "--wait")
    assert done.returncode == 2
    assert "the server failed (503)" in done.stderr.splitlines()[-1]
    assert 2 <= 100 - kfp.away <= 5


def test_a_run_in_which_nothing_runs(kfp: KfpServer, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when no node has so many GPUs: told once, with the command that tells more."""
    monkeypatch.setattr("pipelines.follow.WAITING", 0.0)
    kfp.course = [{"state": "RUNNING"}] * 3 + [{"state": "SUCCEEDED"}]
    lines = succeeded(command("submit", *MINI, "--host", kfp.host, "--wait")).stderr.splitlines()
    assert [line.endswith("kubectl get pods -n kubeflow -l pipeline/runid=run-1") for line in lines].count(True) == 1


def test_a_stopped_command_leaves_the_run(kfp: KfpServer, project: Path) -> None:
    kfp.course = [{"state": "RUNNING", "finished_at": UNKNOWN}]
    line = [sys.executable, "-m", "pipelines", "submit", *MINI, "--host", kfp.host, "--wait"]
    options: dict[str, Any] = {"cwd": project, "env": environment(project, {}), "text": True}
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # What is started in the background ignores the signal, and so would all that is started from it.
    options["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(line, **options) as waiting:
        while sum(request.path.endswith("/run-1") for request in kfp.requests) < 2:
            assert waiting.poll() is None
            time.sleep(0.05)
        os.kill(waiting.pid, signal.SIGINT)
        _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert "python -m pipelines status run-1" in said
    assert "Traceback" not in said


def test_a_run_that_may_exist_is_not_sent_twice(project: Path, command: Command) -> None:
    """The server fell silent in the midst of the answer."""

    class Slow(KfpServer):
        def _run(self, body: dict[str, Any]) -> dict[str, Any]:
            time.sleep(3)
            return super()._run(body)

    with running(Slow()) as server:
        line = refused(command("submit", *MINI, "--host", server.host, KFP_TIMEOUT="1"))
    assert "no answer within 1 s; it may have been created all the same" in line
    assert "pipelines status" in line
    assert sum(request.path.endswith("/runs") for request in server.requests) == 1


def test_the_process_itself(kfp: KfpServer, project: Path) -> None:
    """Exit status and words are those of the command, not of the test's shortcut."""
    line = refused(process(project, "submit", "--experiment", "chess", "--host", kfp.host))
    assert line.startswith("hrm: error: params.yaml: experiments.chess: no such experiment")
    done = succeeded(process(project, "status", KFP_HOST=kfp.host))
    assert done.stdout == f"no runs at {kfp.host} yet\n"
    assert done.stderr == ""


def test_what_needs_no_pipeline_does_not_wait_for_kfp(kfp: KfpServer, project: Path) -> None:
    """It takes seconds to import, and as long again for each pipeline that it makes."""
    code = (
        "import sys; from pipelines.__main__ import main; status = main(['status']); "
        "print(status, 'kfp' in sys.modules, 'torch' in sys.modules)"
    )
    variables = environment(project, {"KFP_HOST": kfp.host})
    done = subprocess.run([sys.executable, "-c", code], cwd=project, env=variables, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 False False", done.stderr
