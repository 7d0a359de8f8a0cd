"""Validates the examples beside this file against the schemas of events, by a full validator.

Prints a line for each that isn't valid; exits with 1 where there is one.
"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

HERE = Path(__file__).parent
SCHEMAS = HERE / "../../src/events/schemas"

schemas = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
registry = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in schemas.values()
)
for schema in schemas.values():
    Draft202012Validator.check_schema(schema)

examples = sorted((HERE / "examples").glob("*.json"))
wrong = 0
for path in examples:
    event = json.loads(path.read_text())
    validator = Draft202012Validator(schemas[event["type"]], registry=registry)
    for error in validator.iter_errors(event):
        print(f"{path.name}: {error.json_path}: {error.message}")
        wrong += 1
print(f"{len(examples)} examples, {wrong} faults")
sys.exit(wrong > 0 or len(examples) < len(schemas) - 1)
