"""Validates the examples beside this file against the schema of the web socket's messages.

Prints a line for each that isn't what its folder says; exits with 1 where there is one.
"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "../../../src/calls/messages.schema.json").read_text())
SIDES = {"client": "client_message", "server": "server_message", "refused": "client_message"}

Draft202012Validator.check_schema(SCHEMA)
wrong = 0
for folder, name in SIDES.items():
    validator = Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{name}"}]})
    for path in sorted((HERE / folder).glob("*.json")):
        is_valid = validator.is_valid(json.loads(path.read_text()))
        if is_valid == (folder == "refused"):
            print(f"{folder}/{path.name} is {'valid' if is_valid else 'not valid'}")
            wrong += 1
print(f"{wrong} examples are wrong")
sys.exit(wrong > 0)
