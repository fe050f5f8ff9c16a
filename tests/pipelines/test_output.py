"""What is shown of a step, and what is kept of its end."""

import pytest

from pipelines.output import Output, step_of

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
    assert [str(failure) for failure in output.failures] == ["step build failed: ended with status 137"]


def test_the_step_is_read_from_the_command() -> None:
    assert step_of(["sh", "-c", "python", "--function_to_execute", "train"]) == "train"
    assert step_of(["sh"]) == "step"
