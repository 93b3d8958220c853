"""What is compared of audit-log and of all five filters: with Envoy's own access loggers, and with its native filters."""

import project
from measuring import variants
from measuring.variants import KEY_HEADER, MANY, TRACING_SETTINGS, Variant, plugin, wasm

LOGGERS = "type.googleapis.com/envoy.extensions.access_loggers."

LOGGED_NATIVE = "JSON file access log, the same fields"
LOGGED_OTEL = "OpenTelemetry access logger, the same fields"
LOGGED = "audit-log, as an access logger"
LOGGED_UNSEALED = "audit-log, as an access logger, not sealed"
LOGGED_AS_FILTER = "audit-log, as a filter"
LOGGED_FLOOR = "audit-log's host calls alone"
FOUR = "four filters, as the chain"
FIVE = "all five, as the chain"
FIVE_MODULES = "all five, as five modules"
FIVE_NATIVE = "local_ratelimit, header_mutation and the JSON access log"


def audit(**more):
    """Level metadata for everything, to an OTLP collector."""
    return {
        "rules": [{"level": "metadata"}],
        "identity": [{"header": {"name": KEY_HEADER, "hash": True}}],
        "sinks": [{"otlp": {"cluster": "sink"}}],
        **more,
    }


# The members of a record, as far as Envoy knows them: it writes the key where the record has its hash, and no seal.
FIELDS = {
    "action": {
        "host": "%REQ(:AUTHORITY)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:PATH)%",
        "scheme": "%REQ(:SCHEME)%",
    },
    "actor": {"id": f"%REQ({KEY_HEADER})%", "kind": "identified", "tier": "%FILTER_STATE(wasm.portcullis.tier:PLAIN)%"},
    "category": "access",
    "client": {"address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%", "user_agent": "%REQ(USER-AGENT):256%"},
    "csrf": "%FILTER_STATE(wasm.portcullis.csrf:PLAIN)%",
    "duration_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "outcome": "success",
    "rate_limit": "%FILTER_STATE(wasm.portcullis.ratelimit:PLAIN)%",
    "request": {"bytes": "%BYTES_RECEIVED%", "id": "%REQ(X-REQUEST-ID)%"},
    "response": {
        "bytes": "%BYTES_SENT%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "status": "%RESPONSE_CODE%",
    },
    "route": "%ROUTE_NAME%",
    "schema": "portcullis.audit/v1",
    "stage": "ResponseComplete",
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "trace_id": "%REQ(TRACEPARENT)%",
    "type": "request",
    "upstream": "%UPSTREAM_HOST%",
}


def _flat(fields, before=""):
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield {"key": before + name, "value": {"string_value": value}}


def file_log():
    """Envoy writes files on a thread of its own, which is not measured, so what becomes of them does not matter."""
    config = {
        "@type": LOGGERS + "file.v3.FileAccessLog",
        "path": "/dev/null",
        "log_format": {"json_format": FIELDS, "omit_empty_values": True},
    }
    return {"access_log": [{"name": "file", "typed_config": config}]}


def otel_log():
    """With its own batches (16 KiB or a second)."""
    service = {"http_uri": {"uri": "http://127.0.0.1/v1/logs", "cluster": "sink", "timeout": "10s"}}
    config = {
        "@type": LOGGERS + "open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "log_name": "bench",
        "http_service": service,
        "body": {"string_value": "%REQ(:METHOD)% %PATH(NQ:PATH)%"},
        "attributes": {"values": list(_flat(FIELDS))},
    }
    return {"access_log": [{"name": "otel", "typed_config": config}]}


def audit_logger(settings):
    """audit-log as an access logger."""
    config = plugin(project.DIST / "audit_log.wasm", "audit-log", settings)
    typed = {"@type": LOGGERS + "wasm.v3.WasmAccessLog", "config": config}
    return {"access_log": [{"name": "audit-log", "typed_config": typed}]}


def chain(**members):
    settings = {
        "request_tracing": TRACING_SETTINGS,
        "security_headers": {"preset": "api"},
        "problem_json": {"formats": ["json"]},
        "rate_limit": variants.four_windows(MANY),
        **members,
    }
    return wasm(project.DIST / "portcullis.wasm", "portcullis", settings)


def modules():
    """The five in the chain's order."""
    return (
        wasm(project.DIST / "request_tracing.wasm", "request-tracing", TRACING_SETTINGS),
        *variants.SECURITY.filters,
        wasm(project.DIST / "audit_log.wasm", "audit-log", audit()),
        variants.problem_json({"formats": ["json"]}),
        variants.rate_limit(MANY),
    )


def compared(headers):
    """Every variant of these. `headers`: what security-headers adds."""
    native = (variants.header_mutation(headers), variants.local_ratelimit(MANY))
    unsealed = audit(chain={"sealed": False})
    return [
        Variant(LOGGED_NATIVE, manager=file_log()),
        Variant(LOGGED_OTEL, manager=otel_log(), exports=True),
        Variant(LOGGED, manager=audit_logger(audit()), exports=True),
        Variant(LOGGED_UNSEALED, manager=audit_logger(unsealed), exports=True),
        Variant(LOGGED_AS_FILTER, (wasm(project.DIST / "audit_log.wasm", "audit-log", audit()),), exports=True),
        Variant(LOGGED_FLOOR, (variants.RECORDED_FLOOR,)),
        Variant(FOUR, (chain(),)),
        Variant(FIVE, (chain(audit_log=audit()),), exports=True),
        Variant(FIVE_MODULES, modules(), exports=True),
        Variant(FIVE_NATIVE, native, manager=file_log()),
    ]


# As variants.TARGETS. A pair stands for what the first adds to the second.
TARGETS = [
    ("audit-log, as an access logger", LOGGED, LOGGED_NATIVE, 5.0),
    ("audit-log, as a filter", LOGGED_AS_FILTER, LOGGED_NATIVE, None),
    ("audit-log inside the chain", (FIVE, FOUR), LOGGED_NATIVE, 2.0),
    ("audit-log's host calls alone", LOGGED_FLOOR, LOGGED_NATIVE, None),
    ("OpenTelemetry access logger", LOGGED_OTEL, LOGGED_NATIVE, None),
    ("audit-log, as an access logger", LOGGED, LOGGED_OTEL, None),
    ("all five, as the chain", FIVE, FIVE_NATIVE, 3.6),
    ("all five, as the chain", FIVE, FIVE_MODULES, 0.52),
]

# CPU seconds from start to the first answer.
START_TARGET = 1.0
