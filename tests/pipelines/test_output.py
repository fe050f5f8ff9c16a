"""What is shown of a step, and what is kept of its end."""

import json
import threading
from pathlib import Path

import pytest

from pipelines.output import Output

KFP = [
    "[KFP Executor 2026-11-28 02:55:22,738 INFO]: Looking for component `train` in --component_module_path `/tmp/x.py`",
    '[KFP Executor 2026-11-28 02:55:22,738 INFO]: Loading KFP component "train" from /tmp/x.py',
    "[KFP Executor 2026-11-28 02:55:22,738 INFO]: Got executor_input:",
    "{",
    '    "inputs": {}',
    "}",
]
TRACEBACK = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', "    raise error"]


def said(output: Output, step: str, lines: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    for line in lines:
        output.say(step, f"{line}\n")
    return capsys.readouterr().err.splitlines()


def test_the_lines_of_the_framework_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*KFP, "[KFP Executor 2026-11-28 02:55:24,001 INFO]: step 1 of 1", "plain", ""]
    assert said(Output(), "train", lines, capsys) == ["train    | step 1 of 1", "train    | plain"]


@pytest.mark.parametrize(
    ("last", "mistake", "message"),
    [
        ("hrm.errors.UserError: data: no such file", True, "step build failed: data: no such file"),
        ("KeyError: 'digest'", False, "step build failed: KeyError: 'digest'"),
        (
            "torch.OutOfMemoryError: no memory",
            False,
            "step build failed: OutOfMemoryError: no memory",
        ),
        (
            "OSError: [Errno 28] No space left on device: 'model'",
            True,
            "step build failed: OSError: [Errno 28] No space left on device: 'model'",
        ),
        (
            'shutil.Error: [("a", "b", "[Errno 28] No space left on device")]',
            True,
            'step build failed: Error: [("a", "b", "[Errno 28] No space left on device")]',
        ),
        ("Killed", False, "step build failed: ended with status 1"),
    ],
)
def test_a_failure_is_told_in_a_line(
    last: str, mistake: bool, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output()
    said(output, "build", [*TRACEBACK, last], capsys)
    assert output.ended("build", 1) == 1
    (failure,) = output.failures
    assert (failure.is_mistake, str(failure)) == (mistake, message)


def test_an_error_that_was_survived_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    said(output, "fetch", ["ConnectionError: tried again"], capsys)
    output.ended("fetch", 0)
    output.ended("build", 137)
    assert [str(failure) for failure in output.failures] == [
        "step build failed: ended with status 137: killed, perhaps as memory ran out"
    ]


def test_the_step_and_its_folder_are_read_from_the_command() -> None:
    output = Output()
    assert output.begins(["sh"]) == "step"
    assert output.folder is None
    request = json.dumps({"outputs": {"outputFile": "/runs/hrm-train-1/fetch/executor_output.json"}})
    command = ["sh", "-c", "python", "--executor_input", request, "--function_to_execute", "fetch"]
    assert output.begins(command) == "fetch"
    assert output.folder == Path("/runs/hrm-train-1")


def test_steps_side_by_side_keep_their_lines_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Two trainings of a sweep have one name: what one says is neither hidden nor blamed on the other."""
    output = Output()

    def other() -> None:
        said(output, "train", [*TRACEBACK, "hrm.errors.UserError: too large"], capsys)
        output.ended("train", 1)

    said(output, "train", KFP[:-1], capsys)  # in the midst of a request, which is not shown
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert [str(failure) for failure in output.failures] == ["step train failed: too large"]
    assert said(output, "train", [*KFP[-1:], "ValueError: mine"], capsys) == ["train    | ValueError: mine"]
    output.ended("train", 1)
    assert str(output.failures[-1]) == "step train failed: ValueError: mine"
