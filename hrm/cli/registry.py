"""`hrm registry list|show|compare|promote|rollback`: the model registry, read and overruled."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def list_(options: argparse.Namespace) -> None:
    """Print each registered model: its champion with score and interval, its challenger, how many versions."""
    from hrm.serving.listing import listing
    from hrm.serving.reference import open_registry

    with open_registry("list its models") as client:
        print(listing(client))  # noqa: T201


def show(options: argparse.Namespace) -> None:
    """Print all that the registry knows of a version, and who was champion when."""
    from hrm.serving.listing import page
    from hrm.serving.reference import find_version, open_registry

    with open_registry("show a model") as client:
        print(page(client, find_version(client, options.version)))  # noqa: T201


def compare(options: argparse.Namespace) -> None:
    """Compare two versions puzzle by puzzle: solved by both, by one alone, by none, and whether that is chance."""
    from hrm.serving.comparison import compare
    from hrm.serving.reference import open_registry, version_of

    with open_registry("compare models") as client:
        first, second = (version_of(client, options.name, which) for which in (options.first, options.second))
        print(compare(client, first, second, options.out))  # noqa: T201


def promote(options: argparse.Namespace) -> None:
    """Make a version the champion, whatever the rule says; who, when and why is logged."""
    from hrm.progress import note
    from hrm.serving.by_hand import promote
    from hrm.serving.reference import open_registry, version_of

    with open_registry("promote a model") as client:
        version = version_of(client, options.name, options.version)
        entry = promote(client, options.name, int(version.version), options.reason)
        note(f"{options.name}: version {entry.version} is the champion, before it {entry.before or 'none'}")


def rollback(options: argparse.Namespace) -> None:
    """Make the champion before champion again; who, when and why is logged."""
    from hrm.progress import note
    from hrm.serving.by_hand import rollback
    from hrm.serving.reference import find_model, open_registry

    with open_registry("roll back a model") as client:
        find_model(client, options.name)
        entry = rollback(client, options.name, options.reason)
        note(f"{options.name}: version {entry.version} is the champion again, instead of {entry.before or 'none'}")


def add_verbs(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Read the model registry, compare versions, and decide who is champion."""
    group = verbs.add_parser("registry", help=add_verbs.__doc__, description=add_verbs.__doc__)
    actions = group.add_subparsers(required=True, metavar="list|show|compare|promote|rollback")
    added = {}
    for action in (list_, show, compare, promote, rollback):
        name = action.__name__.rstrip("_")
        added[name] = actions.add_parser(name, parents=parents, help=action.__doc__, description=action.__doc__)
        added[name].set_defaults(action=action)
    added["show"].add_argument("version", metavar="NAME[/VERSION|@ALIAS]", help="the champion when only named")
    for name in ("compare", "promote", "rollback"):
        added[name].add_argument("name", metavar="NAME", help="of the registered model")
    added["compare"].add_argument("first", metavar="A", help="a version's number or alias")
    added["compare"].add_argument("second", metavar="B", help="another one, such as champion")
    added["compare"].add_argument("--out", type=Path, metavar="FILE", help="draw it, on an HTML page")
    added["promote"].add_argument("version", metavar="VERSION", help="a version's number or alias")
    for name in ("promote", "rollback"):
        added[name].add_argument("--reason", required=True, metavar="TEXT", help="why, for those who come later")
