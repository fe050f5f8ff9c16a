"""What the registry's page says about a model version, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hrm.config import EvaluateSettings, RegisterSettings, VoteSettings
from hrm.data.dataset import Dataset
from hrm.evaluation.score import wilson
from hrm.evaluation.summary import scores_table
from hrm.serving.made_with import made_with
from hrm.serving.origin import Origin
from hrm.serving.outcome import Outcome
from hrm.serving.package import example
from hrm.training.card import LoadedModel

SHARES = ("exact_accuracy", "valid_accuracy", "pass@")
"""How the names of those scores begin that are shares of independent cases."""
ROOM = "&emsp;"
"""A wide space."""
LONGEST, FOR_DECISIONS = 5000, 1200
"""Characters of a description that a database takes, and how many of them are kept for what is decided later."""
LEFT_OUT = ("More votes, more segments", "Use")
"""The parts that a page does without where it is too long, the first one first; docs/serving.md says the same."""


@dataclass(frozen=True)
class Story:
    """All that the description is written from."""

    name: str
    """Of the experiment."""
    settings: RegisterSettings
    dataset: Dataset
    loaded: LoadedModel
    evaluate: Mapping[str, Any]
    """Content of `evaluate.json`."""
    vote: Mapping[str, Any]
    """Content of `vote.json`."""
    origin: Origin
    outcome: Outcome
    """Which test puzzles it solved."""
    gains: str = ""
    """A table of how far more votes and segments take it; empty where that was not measured."""
    pipeline_run: str = ""
    """The id of the pipeline's run that registers it; empty without one."""
    asked: EvaluateSettings = field(default_factory=EvaluateSettings)
    """The settings that `evaluate` was made with."""
    voted: VoteSettings = field(default_factory=VoteSettings)
    """Those that `vote` was made with."""

    @property
    def model_name(self) -> str:
        """Of the registered model."""
        return self.settings.name or self.name

    @property
    def parameters(self) -> int:
        """Numbers in the weights file, puzzle embedding included."""
        return sum(tensor.numel() for tensor in self.loaded.model.state_dict().values())


def scores_of(story: Story) -> str:
    """Every score with its interval, and what they were made with, in Markdown."""
    trained = story.loaded.card.train.halting.max_steps
    made = made_with(story.asked, story.voted, story.vote["votes"], trained)
    return f"{roomy(scores_table(story.evaluate, story.vote))}\n\n{made}"


def describe(story: Story, decision: str) -> str:
    """The Markdown text of a version; `decision` says why it is, or is not, the champion."""
    parts: dict[str | None, str] = {
        None: story.settings.description,
        "Scores": f"{_published(story)}{scores_of(story)}",
        "Decision": decision,
        "Data": _data(story),
        "Recipe": _recipe(story),
        "Use": _use(story),
        "More votes, more segments": _more(story) if story.gains else "",
        "Limits": story.dataset.puzzle.limits,
    }
    page = _joined(parts)
    for title in LEFT_OUT:
        if len(page) > LONGEST - FOR_DECISIONS:
            del parts[title]
            page = _joined(parts)
    return fitting(page)


def _joined(parts: Mapping[str | None, str]) -> str:
    texts = [text if title is None else f"## {title}\n\n{text}" for title, text in parts.items() if text]
    return "\n\n".join(texts) + "\n"


def fitting(page: str) -> str:
    """A page with as much of its end left out as MLflow's database has no room for."""
    return page if len(page) <= LONGEST else f"{page[: LONGEST - 2]}…\n"


def roomy(table: str) -> str:
    """A table whose columns do not touch each other in MLflow, which draws them without any space between."""
    return table.replace(" | ", f" | {ROOM}")


def _published(story: Story) -> str:
    """The published score beside ours, where ours has the same name."""
    published = story.settings.published
    if published is None:
        return ""
    text = (
        f"Published for this recipe: {published.value:g} % {published.metric} ({published.hardware}, {published.time})"
    )
    ours = {**story.vote, **story.evaluate}.get(published.metric)
    if isinstance(ours, float) and published.metric.startswith(SHARES):
        count = story.evaluate["count"] if published.metric in story.evaluate else story.vote["tasks"]
        low, high = wilson(ours, count)
        text += f"; here {ours:.1%} of {count:,} (95 % interval {low:.1%} – {high:.1%})"
    return f"{text}.\n\n"


def _data(story: Story) -> str:
    dataset = story.dataset
    puzzle = ", ".join(f"{key} {value}" for key, value in dataset.puzzle.model_dump(mode="json").items())
    return (
        f"- puzzle: {puzzle}\n"
        f"- {len(dataset.train):,} training and {len(dataset.test):,} test examples in {len(dataset.names):,} groups, "
        f"{len(dataset.symmetries):,} variants\n"
        f"- dataset digest: `{dataset.digest}`\n"
        f"- test digest: `{story.outcome.tests}`"
        + "".join(f"\n- source {name}, digest: `{digest}`" for name, digest in story.origin.sources.items())
    )


def _recipe(story: Story) -> str:
    card = story.loaded.card
    train, model = card.train, card.train.model
    if card.imported is None:
        trained = (
            f"{card.step:,} steps of {train.batch_size} examples, learning rate {train.optimizer.lr:g}, weight decay "
            f"{train.optimizer.weight_decay:g}, {train.loss} loss, seed {train.seed}"
        )
    else:
        trained = f"imported, not trained here: from a file of SHA-256 `{card.imported}`; its training is not on record"
    return (
        f"- {story.parameters:,} parameters: hidden {model.hidden}, {model.heads} heads, "
        f"{model.H_layers} + {model.L_layers} blocks, {model.H_cycles} × {model.L_cycles} cycles, "
        f"at most {train.halting.max_steps} segments, {model.positions} positions\n"
        f"- {trained}\n" + "\n".join(f"- {line}" for line in story.origin.lines())
    )


def _more(story: Story) -> str:
    trained = story.loaded.card.train.halting.max_steps
    return (
        f"How many first answers are right, by the parameters that the model is asked with; {trained} segments and one "
        f"vote when left out.\n\n{roomy(story.gains)}"
    )


def _use(story: Story) -> str:
    row = example(story.dataset).iloc[0].to_dict()
    return (
        "```python\n"
        "import mlflow, pandas as pd\n\n"
        f'model = mlflow.pyfunc.load_model("models:/{story.model_name}@champion")\n'
        f"model.predict(pd.DataFrame([{row!r}]))\n"
        "```\n\n"
        "Gives a table with `answer`, `valid` (by the rules alone), `confidence` (the model's own, 0 to 1) and "
        "`steps`. A puzzle may be rows of cell values instead of text. "
        '`params={"votes": 8}` lets symmetric copies of each puzzle vote, `"rule"` says what ranks their answers, and '
        '`"steps"` sets the segments that are run. '
        f"Over HTTP: `mlflow models serve --env-manager local --model-uri models:/{story.model_name}@champion`."
    )
