"""``dasksse schema``: JSON schema of the configuration, registries included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dasksse.config.load import EXTENDS
from dasksse.config.schema import RunConfig
from dasksse.engine.cluster import ENGINES
from dasksse.label import calculator_schema
from dasksse.select import PICKERS
from dasksse.store.folders import write_atomically

if TYPE_CHECKING:
    import argparse


def config_schema() -> dict[str, Any]:
    """JSON schema of a run's configuration, with what the registries hold."""
    schema = RunConfig.model_json_schema()
    engines = [
        {
            "type": "object",
            "title": f"engine {name}",
            "description": kind.summary,
            "properties": {
                "kind": {"const": name},
                "settings": kind.settings.model_json_schema(),
            },
            "required": ["kind"],
            "additionalProperties": False,
        }
        for name, kind in ENGINES.items()
    ]
    schema["$defs"]["SelectSection"]["properties"]["diversity"]["enum"] = sorted(PICKERS)
    schema["properties"]["engine"] = {"oneOf": engines, "default": {"kind": "local"}}
    schema["$defs"]["LabelSection"]["properties"]["calculator"] = calculator_schema()
    schema["properties"][EXTENDS] = {
        "type": "string",
        "description": "File in the same folder whose keys are taken over where this one is "
        "silent.",
    }
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": [EXTENDS]}]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "dasksse run configuration"
    return schema


def command(arguments: argparse.Namespace) -> int:
    """Print the schema or write it to a file."""
    text = json.dumps(config_schema(), indent=2) + "\n"
    if arguments.output is None:
        print(text, end="")  # noqa: T201 - the command's output
    else:
        write_atomically(arguments.output, text)
    return 0
