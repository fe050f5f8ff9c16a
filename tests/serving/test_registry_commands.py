"""`hrm registry`, as a person uses it."""

import json
from pathlib import Path

import pytest
import small_run
from made_up import answered
from made_up_versions import register

from hrm.cli import main
from hrm.data.dataset import Dataset
from hrm.evaluation.answers import write_answers
from hrm.puzzles.sudoku import BLANK, GIVEN
from hrm.serving.history import State
from hrm.tracking.server import connect

FIRST, SECOND = [True, False, False], [False, True, True]


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small_run.use_embedded_mlflow(tmp_path, monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    return tmp_path


def text(solved: list[bool]) -> str:
    return "".join("01"[one] for one in solved)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert main(["registry", *arguments]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def test_the_models_and_a_page(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register("small", "1" * 5 + "0" * 15)
    register("small", "1" * 20)
    register("small", "1" * 19 + "0")
    connect().create_registered_model("it's foreign")
    assert said(capsys, "list").splitlines() == [
        "model         champion  exact                                                      challenger  versions",
        "it's foreign  none                                                                 none        0",
        "small         2         100.0% of 20 test puzzles (95 % interval 83.9% to 100.0%)  3           3",
    ]
    page = said(capsys, "show", "small")
    assert page.startswith("small version 2\n===============\n\naliases      champion\nexact        100.0% of 20 test")
    assert "This version alone solves 15, version 1 alone 0, both 5, none 0" in page
    assert "version 2, by the rule (ann)\n" in page
    assert said(capsys, "show", "small/2") == said(capsys, "show", "small@champion") == page
    assert said(capsys, "show", "small@challenger").startswith("small version 3\n")


def test_promoted_and_rolled_back(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register("small", "1" * 5 + "0" * 15)
    register("small", "1" * 6 + "0" * 14)
    said(capsys, "promote", "small", "challenger", "--reason", "for the demo")
    assert State.read(connect(), "small").champion == 2
    said(capsys, "rollback", "small", "--reason", "demo over")
    assert State.read(connect(), "small").champion == 1
    page = said(capsys, "show", "small/2")
    assert "version 2, by ann (hand): for the demo\n" in page
    assert "version 1, by ann (rollback): demo over\n" in page
    with pytest.raises(SystemExit):
        main(["registry", "promote", "small", "2"])
    assert "--reason" in capsys.readouterr().err


def test_compared_in_words(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register("small", "1" * 8 + "0" * 12)
    register("small", "1" * 7 + "0" + "1" * 12)
    assert said(capsys, "compare", "small", "challenger", "1").splitlines() == [
        "small: versions 2 and 1 on the same 20 test puzzles",
        "  solved by both            7",
        "  by version 2 alone       12",
        "  by version 1 alone        1",
        "  by none                   0",
        "version 2: 95.0% exact (95 % interval 76.4% to 99.1%)",
        "version 1: 40.0% exact (95 % interval 21.9% to 61.3%)",
        "Version 2 is better than version 1 by more than chance: p = 0.0034 (exact two-sided sign test over puzzles, "
        "level 0.05).",
        "solved by version 2 alone, puzzles counted from 0: 8 9 10 11 12 13 14 15 16 17 18 19",
        "solved by version 1 alone, puzzles counted from 0: 7",
    ]


def test_compared_on_a_page(embedded: Path, sudoku: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    for solved in (FIRST, SECOND):
        register("small", text(solved))
    said(capsys, "compare", "small", "1", "2", "--out", "listed.html")
    page = (embedded / "listed.html").read_text()
    assert "Test puzzles by number, counted from 0: 1, 2<" in page
    assert "<article" not in page

    client = connect()
    for version, solved in (("1", FIRST), ("2", SECOND)):
        write_answers(embedded / version / "answers", answered(sudoku, copies=1).ranking(solved), sudoku)
        client.log_artifact(client.get_model_version("small", version).run_id, str(embedded / version / "answers"))
    said(capsys, "compare", "small", "1", "2", "--out", "drawn.html")
    page = (embedded / "drawn.html").read_text()
    assert page.count("<article") == 3
    assert page.count("✓ right after voting<") == page.count("✗ wrong after voting<") == 3
    assert page.count("<figcaption>Question</figcaption>") == 3
    assert page.count('class="grid"') == 9
    # The clues are grey in the question and in both answers, where anything else is white.
    assert page.count(f'fill="{GIVEN}"') == page.count(f'fill="{BLANK}"') == 9
    assert "Solved by version 1 alone: 1<" in page
    assert "Test puzzles by number" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_answers_of_an_older_version_are_drawn_without_the_question(
    embedded: Path, sudoku: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    client = connect()
    for version, solved in (("1", FIRST), ("2", SECOND)):
        register("small", text(solved))
        write_answers(embedded / version / "answers", answered(sudoku, copies=1).ranking(solved), sudoku)
        file = embedded / version / "answers/answers.json"
        content = json.loads(file.read_text())
        for entry in content["answers"]:
            del entry["question"]
        file.write_text(json.dumps(content))
        client.log_artifact(client.get_model_version("small", version).run_id, str(file.parent))
    said(capsys, "compare", "small", "1", "2", "--out", "drawn.html")
    page = (embedded / "drawn.html").read_text()
    assert page.count('class="grid"') == 6
    assert "Question" not in page


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["show", "chess"], "chess: no such model in the registry at sqlite:///mlflow.db; there are: small"),
        (["show", ""], ": no such model in the registry at sqlite:///mlflow.db; there are: small"),
        (["rollback", "chess", "--reason", "x"], "chess: no such model in the registry at sqlite:///mlflow.db;"),
        (["show", "small/9"], "small/9: no such version; small has 1, 2"),
        (
            ["show", "small@best"],
            "small@best: no version of small has the alias 'best'; there are: challenger",
        ),
        (["promote", "small", "9", "--reason", "x"], "small/9: no such version; small has 1, 2"),
        (["promote", "small", "1", "--reason", "x"], "small version 1: it is the champion already"),
        (
            ["rollback", "small", "--reason", "x"],
            "small: no champion before to go back to; see `hrm",
        ),
        (["compare", "small", "1", "champion"], "small: version 1 twice; name two versions to compare"),
        (["compare", "small", "1", "2"], "small: versions 1 and 2 were tested on different puzzles, which cannot be"),
    ],
)
def test_a_mistake_is_one_line(
    embedded: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    register("small", "10")
    register("small", "10", tests="others")
    message = said(capsys, *arguments, status=2)
    assert message.startswith(f"hrm: error: {error}")
    assert message.count("\n") == 1


def test_no_registry_is_one_line(
    embedded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no model in the registry; register one with `hrm register`" in said(capsys, "list", status=2)
    (embedded / "mlflow.db").unlink()
    assert said(capsys, "list", status=2).endswith(
        "mlflow.db: no such file; register a model first, or set MLFLOW_TRACKING_URI\n"
    )
    assert list(embedded.iterdir()) == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    message = said(capsys, "list", status=2)
    assert message.startswith("hrm: error: MLflow at http://127.0.0.1:9 is needed to list its models: no connection; ")
