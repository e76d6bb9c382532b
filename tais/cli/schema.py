"""``tais schema``."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["File", "schema"]


class File(StrEnum):
    """What has a schema."""

    manifest = "manifest"
    policy = "policy"
    battery = "battery"
    report = "report"


def schema(file: Annotated[File, typer.Argument(help="Kind of file.")]) -> None:
    """Print the JSON Schema of a file that you write or read.

    An editor that reads YAML with a schema completes keys and marks what is misspelt. The first line
    of a file names its schema: # yaml-language-server: $schema=manifest.schema.json

    Example: [bold]tais schema manifest > manifest.schema.json[/bold]
    """
    typer.echo(json.dumps(_schema(file), indent=1))


def _schema(file: File) -> object:
    # Each loads what reads that file, which help does without.
    if file is File.manifest:
        from tais.manifest.schema import manifest_schema

        return manifest_schema()
    if file is File.policy:
        from tais.gate.policy import policy_schema

        return policy_schema()
    if file is File.battery:
        from tais.battery.definition import battery_schema

        return battery_schema()
    from tais.report.schema import report_schema

    return report_schema()
