"""Steps as containers, on a real engine and in the real image."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_engine import IMAGE, Engine
from kfp import dsl, local

from hrm.errors import UserError
from pipelines.docker_runner import IMAGE_USER, containers, passed_on
from pipelines.output import Output

TIMES = 20
INTERRUPTED = """
import sys
from kfp import dsl, local
from pipelines.docker_runner import containers
from pipelines.output import Output

step = dsl.component(base_image={image!r}, packages_to_install=[], install_kfp_package=False)


@step
def wait(name: str):
    import signal, sys, time

    def end(number: int, frame: object) -> None:
        print("saved before the end of", name, flush=True)
        sys.exit(143)

    signal.signal(signal.SIGTERM, end)
    print("begun", name, flush=True)
    time.sleep(300)


@dsl.pipeline
def both():
    with dsl.ParallelFor(["a", "b"]) as name:
        wait(name=name)


with containers(Output()) as runner:
    local.init(runner, pipeline_root=sys.argv[1], raise_on_error=False)
    {call}
"""
step = dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)


@step
def failing(number: int):
    raise ValueError(f"failure {number}")


@step
def writing(name: str, written: dsl.Output[dsl.Artifact]) -> str:
    import os

    with open(written.path, "w") as file:
        file.write(os.environ[name])
    return f"{os.getuid()} {os.environ['HRM_COMMIT']}"


@dsl.component(base_image="hrm-mlops:absent", packages_to_install=[], install_kfp_package=False)
def absent():
    pass


@dsl.pipeline
def two_absent():
    with dsl.ParallelFor(["a", "b"]):
        absent()


@pytest.fixture(autouse=True)
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is the one that docker's clients find; nothing of the user's own counts."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "HRM_COMMIT"):
        monkeypatch.delenv(name, raising=False)
    if request.node.get_closest_marker("services"):
        for name, value in request.getfixturevalue("engine").environment.items():
            monkeypatch.setenv(name, value)


@pytest.fixture
def nothing_left(engine: Engine) -> Iterator[None]:
    """No container outlives its step."""
    yield
    assert engine.docker("ps", "--all", "--quiet") == ""


@pytest.mark.services
@pytest.mark.usefixtures("image", "nothing_left")
def test_every_failure_is_seen_with_its_message(tmp_path: Path) -> None:
    output = Output()
    with containers(output) as runner:
        local.init(runner, pipeline_root=str(tmp_path / "root"))
        for number in range(TIMES):
            with pytest.raises(RuntimeError, match="FAILURE"):
                failing(number=number)
    assert [str(each) for each in output.failures] == [
        f"step failing failed: ValueError: failure {number}" for number in range(TIMES)
    ]


@pytest.mark.services
@pytest.mark.usefixtures("image", "nothing_left")
def test_a_step_hands_its_results_over_and_is_given_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.setenv("HRM_COMMIT", "the caller's, not the image's")
    output = Output()
    with containers(output) as runner:
        local.init(runner, pipeline_root=str(tmp_path / "root"))
        task = writing(name="MLFLOW_EXPERIMENT_NAME")
    user, commit = task.outputs["Output"].split()
    assert (user, len(commit)) == (str(IMAGE_USER), 40)
    assert Path(task.outputs["written"].path).read_text() == "mine"
    assert not output.failures


@pytest.mark.services
@pytest.mark.usefixtures("image", "nothing_left")
def test_what_a_step_writes_belongs_to_a_caller_who_is_not_root(engine: Engine, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    os.chown(root, 12345, 12345)
    for folder in (engine.folder, tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    (engine.folder / "docker.sock").chmod(0o666)
    _written_to(tmp_path / "warm")  # imports what it needs: the other may not read this Python's files
    os.setegid(12345)
    os.seteuid(12345)
    try:
        task = _written_to(root)
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert task.outputs["Output"].split()[0] == "12345"
    written = Path(task.outputs["written"].path)
    assert written.read_text() == "/home/hrm"
    assert (written.stat().st_uid, written.stat().st_gid) == (12345, 12345)


def _written_to(root: Path) -> dsl.PipelineTask:
    with containers(Output()) as runner:
        local.init(runner, pipeline_root=str(root), workspace_root=str(root / "workspace"))
        return writing(name="HOME")


@pytest.mark.services
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("call", [absent, two_absent], ids=["alone", "in threads"])
def test_an_absent_image_is_one_line_and_is_not_pulled(tmp_path: Path, call: dsl.base_component.BaseComponent) -> None:
    output = Output()
    with containers(output) as runner:
        local.init(runner, pipeline_root=str(tmp_path / "root"), raise_on_error=False)
        call()
    assert output.failures[0].is_mistake
    assert str(output.failures[0]) == (
        "step absent failed: the docker engine has no image hrm-mlops:absent; build it with `make image`, or pull it"
    )


@pytest.mark.services
@pytest.mark.usefixtures("image", "nothing_left")
@pytest.mark.parametrize(
    ("number", "call", "names"),
    [(signal.SIGINT, "wait(name='a')", "a"), (signal.SIGINT, "both()", "ab"), (signal.SIGTERM, "both()", "ab")],
    ids=["Ctrl-C", "Ctrl-C with threads", "SIGTERM with threads"],
)
def test_steps_save_and_end_when_the_caller_is_stopped(
    tmp_path: Path, number: signal.Signals, call: str, names: str
) -> None:
    script = tmp_path / "script.py"  # KFP reads a component's source
    script.write_text(INTERRUPTED.format(image=IMAGE, call=call))
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script), str(tmp_path / "root")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    try:
        begun: set[str] = set()
        while begun != set(names):
            line = process.stderr.readline()
            assert line, "it ended before the steps began"
            begun |= {line.split()[-1]} if "| begun" in line else set()
        since = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert time.monotonic() - since < 30
    assert {line.split()[-1] for line in said.splitlines() if "saved before the end of" in line} == set(names), said
    assert process.returncode == (143 if number == signal.SIGTERM else -signal.SIGINT), said


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # docker's client leaves its socket open
def test_an_absent_engine_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    expected = r"^the docker engine at unix://.*absent.sock does not answer; .*leave --docker out$"
    with pytest.raises(UserError, match=expected), containers(Output()):
        pass
    gc.collect()


def test_a_step_is_given_credentials_and_settings_but_no_files_of_this_machine() -> None:
    given = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "HRM_SOMETHING": "b",
        "MLFLOW_EXPERIMENT_NAME": "c",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:2",
        "MLFLOW_TRACKING_PASSWORD": "d",
        "WANDB_API_KEY": "e",
    }
    kept_back = {
        "AWS_CA_BUNDLE": "/a",
        "AWS_PROFILE": "me",
        "AWS_SHARED_CREDENTIALS_FILE": "/b",
        "HRM_COMMIT": "the caller's",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH": "/c",
        "HOME": "/root",
        "PATH": "/bin",
        "WANDB_DIR": "/d",
    }
    assert passed_on(given | kept_back) == given


@pytest.mark.parametrize("uri", ["sqlite:////home/me/mlflow.db", "file:///home/me/mlruns"])
def test_records_that_no_container_sees_are_refused(uri: str) -> None:
    with pytest.raises(UserError, match=rf"MLFLOW_TRACKING_URI = {uri} is a file .* `mlflow server`"):
        passed_on({"MLFLOW_TRACKING_URI": uri})
