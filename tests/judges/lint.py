"""httplint over errors, each a line of JSON on the standard input: nothing BAD, and no WARN but those with a reason here."""

import json
import sys

from httplint.message import HttpResponseLinter
from httplint.note import levels

# Note → why it stays.
REASONS = {
    # It is about the status, whoever sends it: a request without a host is malformed.
    "STATUS_BAD_REQUEST": "the request was meant to be bad",
}


def notes(answer):
    linter = HttpResponseLinter()
    topline = (answer["version"], str(answer["status"]), answer["phrase"])
    linter.process_response_topline(*(part.encode("latin-1") for part in topline))
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer["headers"]]
    linter.process_headers(fields)
    linter.feed_content(answer["body"].encode("latin-1"))
    linter.finish_content(True, [])
    return linter.notes


def main():
    seen = faults = 0
    for line in sys.stdin:
        answer = json.loads(line)
        seen += 1
        for note in notes(answer):
            kind = type(note).__name__
            if note.level in (levels.WARN, levels.BAD) and kind not in REASONS:
                faults += 1
                print(f"    {answer['name']} ({answer['status']}): {note.level.name} {kind}: {note.summary}")
    print(f"    httplint: {seen} errors, {faults} faults")
    return 1 if faults or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
