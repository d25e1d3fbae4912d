"""Judges documents by docs/schema/cli.json: one {"schema": name, "document": …} a line on stdin, one verdict a line out."""

import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schemas = json.load(file)
Draft202012Validator.check_schema(schemas)
for line in sys.stdin:
    said = json.loads(line)
    one = {"$schema": schemas["$schema"], "$defs": schemas["$defs"], "$ref": "#/$defs/" + said["schema"]}
    errors = [f"{e.json_path}: {e.message}" for e in Draft202012Validator(one).iter_errors(said["document"])]
    print("; ".join(errors) if errors else "valid", flush=True)
