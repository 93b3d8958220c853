"""Judges OTLP bodies: `judge.py FOLDER`. Each must be what protobuf's own JSON reader takes without an unknown field, and what a
real receiver (rotel) takes and sends on unchanged."""

import base64
import gzip
import http.client
import http.server
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import rotel
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
NUMBERS = {"kind", "code", "flags"}
TEXTS = {"startTimeUnixNano", "endTimeUnixNano", "intValue"}
DEADLINE = 60


def strict(value, key=""):
    """What OTLP's JSON has other than proto3's, checked and turned into proto3's: ids are lower-case hex. Also what proto3's reader
    would let pass: enums by name, 64-bit numbers as numbers."""
    if isinstance(value, dict):
        return {name: strict(member, name) for name, member in value.items()}
    if isinstance(value, list):
        return [strict(member, key) for member in value]
    if key in IDS:
        if not re.fullmatch(f"[0-9a-f]{{{IDS[key]}}}", str(value)) or not value.strip("0"):
            raise ValueError(f"{key} {value!r} is no id")
        return base64.b64encode(bytes.fromhex(value)).decode()
    if key in NUMBERS and type(value) is not int:
        raise ValueError(f"{key} {value!r} is no number")
    if key in TEXTS and not (isinstance(value, str) and re.fullmatch("-?(0|[1-9][0-9]*)", value)):
        raise ValueError(f"{key} {value!r} is no number in a string")
    return value


def once(pairs):
    """An object, if no name stands in it twice."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError(f"a name twice among {[name for name, _ in pairs]}")
    return dict(pairs)


def judge(text):
    """The message that a body is."""
    document = json.loads(text.decode("utf-8", "strict"), object_pairs_hook=once)
    message = json_format.ParseDict(strict(document), ExportTraceServiceRequest(), ignore_unknown_fields=False)
    for resource in message.resource_spans:
        if not any(a.key == "service.name" and a.value.string_value for a in resource.resource.attributes):
            raise ValueError("a resource without service.name")
        for scope in resource.scope_spans:
            if not (scope.scope.name and scope.scope.version and scope.spans):
                raise ValueError("a scope without a name, a version or spans")
            for span in scope.spans:
                keys = [attribute.key for attribute in span.attributes]
                if not span.name or span.end_time_unix_nano < span.start_time_unix_nano or len(set(keys)) != len(keys):
                    raise ValueError(f"span {span.span_id.hex()}: no name, an end before its start, or an attribute twice")
    return message


def spans(message):
    """Each span as bytes, with the attributes of its resource and its scope."""
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                parts = (resource.resource, scope.scope, span)
                yield b"|".join(part.SerializeToString(deterministic=True) for part in parts)


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what the receiver sends on."""

    protocol_version = "HTTP/1.1"
    got = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        self.got.extend(spans(ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, ask):
    deadline = time.monotonic() + DEADLINE
    while not ask():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {DEADLINE} s")
        time.sleep(0.05)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def receive(bodies, expected):
    """Sends all bodies to rotel; what it sends on must be the very spans."""
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    agent = pathlib.Path(rotel.__file__).with_name("rotel-agent")
    agent.chmod(0o755)
    port, other = free_port(), free_port()
    command = [agent, "start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{other}"]
    command += ["--exporter", "otlp", "--otlp-exporter-protocol", "http"]
    command += ["--otlp-exporter-endpoint", f"http://127.0.0.1:{collector.server_port}", "--batch-timeout", "100ms"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until("rotel", lambda: answers(port) or process.poll() is not None)
        for name, body in bodies:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
            connection.request("POST", "/v1/traces", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"rotel answers {name} with {answer.status}: {text[:500]!r}")
            connection.close()
        until("what rotel sends on", lambda: len(Collector.got) >= len(expected))
    finally:
        process.terminate()
        process.wait()
    missing = sorted(expected)
    for span in sorted(Collector.got):
        if span not in missing:
            raise SystemExit(f"rotel sends on what it did not get: {span!r}")
        missing.remove(span)
    if missing:
        raise SystemExit(f"rotel did not send on {len(missing)} spans, the first {missing[0]!r}")


def main(folder):
    bodies = [(path.name, path.read_bytes()) for path in sorted(pathlib.Path(folder).glob("*.json"))]
    if not bodies:
        raise SystemExit(f"{folder} holds no bodies to judge")
    wrong, expected = [], []
    for name, body in bodies:
        try:
            expected += spans(judge(body))
        except (ValueError, json_format.ParseError, UnicodeDecodeError) as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        raise SystemExit("\n".join([*wrong[:20], f"{len(wrong)} of {len(bodies)} bodies are not OTLP"]))
    # A body that was tried again is there twice. Each once is enough for the receiver.
    once_each = list({body: (name, body) for name, body in bodies}.values())[:200]
    receive(once_each, [span for _, body in once_each for span in spans(judge(body))])
    print(f"    {len(bodies)} bodies with {len(expected)} spans are OTLP; rotel took and sent on those of {len(once_each)}")


if __name__ == "__main__":
    main(sys.argv[1])
