"""Judges audit records: `judge.py FOLDER SCHEMA`. Each of a foreign form must be what that form's own schema says: OCSF by its published
schemas, from the version that we write on; ECS by the fields that it has; our own by SCHEMA."""

import collections
import copy
import json
import pathlib
import sys

import jsonschema
from ecs import faults as ecs_faults
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

OCSF_VERSIONS = ["1.5.0", "1.6.0", "1.7.0", "1.8.0"]
# Base Event, HTTP Activity, API Activity: what the suites must have made.
OCSF_CLASSES = {0, 4002, 6003}
# At which a request is recorded: the same, of each form.
STAGES = {"RequestReceived", "ResponseComplete"}


def form(record):
    if "class_uid" in record:
        return "ocsf"
    return "ecs" if "@timestamp" in record else "native"


def ocsf_judges():
    """A judge for each version and class."""
    judges = {}
    for version in OCSF_VERSIONS:
        schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=version))
        for uid in OCSF_CLASSES:
            schema = schemas.get_class_schema(schemas.lookup_class_name_from_uid(uid))
            judges[version, uid] = jsonschema.Draft202012Validator(schema)
    return judges


class Judge:
    def __init__(self, native_schema):
        self.native = jsonschema.Draft202012Validator(native_schema)
        self.ocsf = ocsf_judges()

    def faults(self, record):
        """What is wrong with a record."""
        told = lambda error: f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        match form(record):
            case "native":
                return [told(error) for error in self.native.iter_errors(record)]
            case "ecs":
                return ecs_faults(record)
        if record["class_uid"] not in OCSF_CLASSES:
            return [f"class_uid {record['class_uid']} is none that is written"]
        faults = []
        for version in OCSF_VERSIONS:
            errors = self.ocsf[version, record["class_uid"]].iter_errors(record)
            faults += [f"OCSF {version}: {told(error)}" for error in errors]
        return faults


def own(record):
    """What every form has: the record itself, or its member for what the form has no place for."""
    return {"native": record, "ocsf": record.get("unmapped", {}), "ecs": record.get("portcullis", {})}[form(record)]


def kind(record):
    """What a record is of, so that the report shows what was judged."""
    rest = own(record)
    return rest.get("event") or ", ".join(str(rest.get(name)) for name in ("stage", "category", "outcome"))


def broken(record):
    """The record, each time with one thing wrong that its schema forbids."""
    changes = {
        "native": [("secret", "s"), ("time", "yesterday"), ("type", "other")],
        "ocsf": [("secret", "s"), ("time", "yesterday"), ("severity_id", 1000), ("metadata", {})],
        "ecs": [("secret", "s"), ("@timestamp", 1), ("http", {"request": {"headers": {"a": ["b"]}}})],
    }
    for name, value in changes[form(record)]:
        yield {**copy.deepcopy(record), name: value}


def main(folder, schema):
    judge = Judge(json.loads(pathlib.Path(schema).read_text()))
    kinds = collections.defaultdict(collections.Counter)
    stages = collections.defaultdict(set)
    wrong, examples = [], {}
    for path in sorted(pathlib.Path(folder).glob("*.ndjson")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            record = json.loads(line)
            kinds[form(record)][kind(record)] += 1
            stages[form(record)].add(own(record).get("stage"))
            examples.setdefault((form(record), record.get("class_uid")), record)
            wrong += [f"{path.name}:{number}: {fault}" for fault in judge.faults(record)]
    if wrong:
        raise SystemExit("\n".join([*wrong[:20], f"{len(wrong)} faults"]))
    missing = {"native", "ocsf", "ecs"} - set(kinds)
    missing |= OCSF_CLASSES - {uid for _, uid in examples}
    missing |= {f"{name} at {stage}" for name, got in stages.items() for stage in STAGES - got}
    if missing:
        raise SystemExit(f"{folder} holds no records of {sorted(map(str, missing))}")
    # The judge itself: a record that is wrong must not pass.
    for example in examples.values():
        for mutant in broken(example):
            if not judge.faults(mutant):
                raise SystemExit(f"the judge takes what is wrong: {json.dumps(mutant)}")
    for name, counts in sorted(kinds.items()):
        print(f"    {name}: {sum(counts.values())} records of {len(counts)} kinds are valid")


if __name__ == "__main__":
    main(*sys.argv[1:])
