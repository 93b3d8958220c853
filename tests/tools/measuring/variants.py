"""What is compared: one Envoy per variant, the same but for its HTTP filters."""

import dataclasses

import project

# A continued trace of a peer, in every request of every variant.
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# One client's key, as well.
KEY_HEADER = "x-api-key"
REQUEST_HEADERS = {"traceparent": TRACEPARENT, KEY_HEADER: "5c1f9d0e7ab84f6fb1c2d3e4f5a60718"}
TYPE = "type.googleapis.com/envoy.extensions.filters.http."
# What Envoy writes by itself, so no filter added it.
ENVOY_OWN = {"date", "content-length", "content-type", "server", "connection"}


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    # Entries of `http_filters`, before the router.
    filters: tuple = ()
    # What every request but the first is answered with.
    status: int = 200
    # What the route answers by itself: status and body.
    answer: tuple = (200, '{"ok":true}\n')
    # More fields of the HTTP connection manager.
    manager: dict = dataclasses.field(default_factory=dict, hash=False)
    # Whether it sends to the cluster `sink`.
    exports: bool = False

    @property
    def label(self):
        """The name as a file name."""
        return "".join(c if c.isalnum() else "-" for c in self.name)


NONE = Variant("none")


def plugin(module, root_id, settings=None):
    """A plugin's configuration."""
    config = {
        "root_id": root_id,
        "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "vm_id": root_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": str(module)}},
        },
    }
    if settings is not None:
        config["configuration"] = {"@type": "type.googleapis.com/google.protobuf.Struct", "value": settings}
    return config


def wasm(module, root_id, settings=None):
    """A module of ours as an HTTP filter."""
    return {"name": root_id, "typed_config": {"@type": TYPE + "wasm.v3.Wasm", "config": plugin(module, root_id, settings)}}


def header_mutation(headers):
    """Envoy's own filter for fixed headers. `cache-control` gives way to the upstream's, as it does in the preset."""
    mutations = []
    for name, value in headers:
        action = "ADD_IF_ABSENT" if name == "cache-control" else "OVERWRITE_IF_EXISTS_OR_ADD"
        mutations.append({"append": {"header": {"key": name, "value": value}, "append_action": action}})
    config = {"@type": TYPE + "header_mutation.v3.HeaderMutation", "mutations": {"response_mutations": mutations}}
    return {"name": "header_mutation", "typed_config": config}


def lua(headers):
    """The same as a script."""
    lines = ["function envoy_on_response(handle)", "  local headers = handle:headers()"]
    for name, value in headers:
        call = f"headers:replace({_quoted(name)}, {_quoted(value)})"
        lines.append(f"  if not headers:get('{name}') then {call} end" if name == "cache-control" else f"  {call}")
    lines.append("end")
    config = {"@type": TYPE + "lua.v3.Lua", "default_source_code": {"inline_string": "\n".join(lines)}}
    return {"name": "lua", "typed_config": config}


PAGE = (404, "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n")
DETAIL = "There is nothing at this address. Check the path and the identifiers in it."


def lua_problem():
    """A script that makes of an error what problem-json makes of it."""
    source = """
function envoy_on_request(handle)
  handle:streamInfo():dynamicMetadata():set("problem", "id", handle:headers():get("x-request-id"))
end

local titles = { ["404"] = "Not Found", ["500"] = "Internal Server Error" }

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  if tonumber(status) < 400 then return end
  local id = handle:streamInfo():dynamicMetadata():get("problem")["id"]
  local document = '{"type":"about:blank","title":"' .. (titles[status] or "Error") .. '","status":' .. status ..
    ',"detail":"DETAIL","instance":"urn:uuid:' .. id .. '","request_id":"' .. id .. '","category":"user","retryable":false}'
  handle:body(true):setBytes(document)
  for _, name in ipairs({ "content-encoding", "etag", "last-modified", "accept-ranges", "content-disposition", "trailer" }) do
    headers:remove(name)
  end
  headers:replace("content-type", "application/problem+json")
  headers:replace("content-language", "en")
  headers:replace("content-length", #document)
  headers:replace("cache-control", "no-store")
end
""".replace("DETAIL", DETAIL)
    config = {"@type": TYPE + "lua.v3.Lua", "default_source_code": {"inline_string": source}}
    return {"name": "lua", "typed_config": config}


def local_reply_problem():
    """A document as far as Envoy can write one by itself."""
    return {
        "local_reply_config": {
            "mappers": [{
                "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400, "runtime_key": "none"}}}},
                "body_format_override": {
                    "content_type": "application/problem+json",
                    "json_format": {
                        "type": "about:blank",
                        "title": "Not Found",
                        "status": "%RESPONSE_CODE%",
                        "detail": DETAIL,
                        "request_id": "%REQ(X-REQUEST-ID)%",
                    },
                },
            }],
        },
    }


def problem_json(settings):
    return wasm(project.DIST / "problem_json.wasm", "problem-json", settings)


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def added(with_filter, without):
    """The response headers that a filter added, in the order in which they arrived."""
    there = {name for name, _ in without} | ENVOY_OWN
    return [(name, value) for name, value in with_filter if name not in there]


SECURITY = Variant("security-headers, `api`", (wasm(project.DIST / "security_headers.wasm", "security-headers", {"preset": "api"}),))
TRACING_SETTINGS = {"trust": "internal"}


# The windows of the standard plan.
WINDOWS = [("minute", "minute", None), ("hour", "hour", None), ("day", "day", None), ("ai", "day", "ai")]
# More than a measurement sends.
MANY = 1_000_000_000


def four_windows(count):
    """The standard plan's four windows, each with this count, for clients known by the hash of their key."""
    def limit(name, window, resource):
        written = {"name": name, "count": count, "window": window}
        return {**written, "resource": resource} if resource else written

    plans = {"free": "starter", "starter": "professional", "professional": "enterprise", "enterprise": None}
    tiers = {}
    for tier, following in plans.items():
        tiers[tier] = {"limits": [limit(*window) for window in WINDOWS]}
        if following:
            tiers[tier]["upgrade_to"] = following
    return {
        "identity": [{"header": {"name": KEY_HEADER, "hash": True}}],
        "plans": "none",
        "tiers": tiers,
        # All four windows count.
        "resource": "ai",
        "upgrade": {"url": "https://example.com/plans"},
    }


def rate_limit(count):
    return wasm(project.DIST / "rate_limit.wasm", "rate-limit", four_windows(count))


def local_ratelimit(count):
    """Envoy's own filter with one bucket for each client, and its headers."""
    bucket = {"max_tokens": count, "tokens_per_fill": count, "fill_interval": "3600s"}
    everything = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    config = {
        "@type": TYPE + "local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "bench",
        # The one for all must never be the one that refuses.
        "token_bucket": {**bucket, "max_tokens": MANY, "tokens_per_fill": MANY},
        "filter_enabled": everything,
        "filter_enforced": everything,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        # An entry without a value stands for every value.
        "descriptors": [{"entries": [{"key": "client"}], "token_bucket": bucket}],
        "rate_limits": [{"actions": [{"request_headers": {"header_name": KEY_HEADER, "descriptor_key": "client"}}]}],
    }
    return {"name": "local_ratelimit", "typed_config": config}


# A problem as far as Envoy can write one by itself.
PROBLEM_MAPPER = {
    "local_reply_config": {
        "mappers": [{
            "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 429, "runtime_key": "none"}}}},
            "body_format_override": {
                "content_type": "application/problem+json",
                "json_format": {
                    "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                    "title": "Quota exceeded",
                    "status": "%RESPONSE_CODE%",
                    "detail": "%LOCAL_REPLY_BODY%",
                },
            },
        }],
    },
}
LIMITED = "rate-limit, four windows"
LIMITED_NATIVE = "local_ratelimit, a bucket for each client"
REFUSED = "rate-limit, 429"
PASSED = "problem-json, a success"
REWRITTEN = "problem-json, a page of 404"
REWRITTEN_LUA = "Lua, a page of 404"
REFUSED_NATIVE = "local_ratelimit, 429 with local_reply_config"


def floor(request, response, finished=()):
    """A module that makes these host calls and does nothing else."""
    calls = {"request": list(request), "response": list(response), "finished": list(finished)}
    return wasm(project.DIST / "test" / "floor.wasm", "floor", calls)


NOW, READ_ALL = "now", "request_headers"
# What each of these filters asks of the host for one of the requests measured: what it costs without any logic.
LIMITED_FLOOR = floor(
    [READ_ALL, NOW, {"share": {"key": "bucket", "size": 100}}, {"filter_state": "floor.a"}, {"filter_state": "floor.b"}, "increment"],
    [{"set_response_header": "ratelimit"}, {"set_response_header": "ratelimit-policy"}],
)
REFUSED_FLOOR = floor(
    [READ_ALL, NOW, {"shared": "bucket"}, {"filter_state": "floor.a"}, {"filter_state": "floor.b"}, "increment", {"reply": {"status": 429, "size": 400}}],
    [],
)
TRACED_FLOOR = floor(
    [READ_ALL, NOW, {"set_request_header": "traceparent"}, {"filter_state": "floor.a"}],
    [NOW, {"set_response_header": "x-request-id"}, {"set_response_header": "server-timing"}],
    [NOW],
)
STATUS_FLOOR = floor([], [{"response_header": ":status"}])
# Of a record of a GET that the route answered, without its seal and without what it takes to send it.
RECORDED_FLOOR = floor([], [], [
    READ_ALL,
    {"response_header": ":status"},
    {"property": ["response", "code_details"]},
    {"property": ["portcullis.ratelimit"]},
    {"property": ["response", "size"]},
    {"property": ["request", "size"]},
    {"property": ["source", "address"]},
    {"property": ["request", "duration"]},
    {"property": ["xds", "route_name"]},
    NOW,
    "increment",
    {"write": {"key": "head", "size": 160}},
])


def ours():
    """Every variant that runs a module."""
    tracing = project.DIST / "request_tracing.wasm"
    security = project.DIST / "security_headers.wasm"
    chain = {"request_tracing": TRACING_SETTINGS, "security_headers": {"preset": "api"}}
    return [
        Variant("SDK's empty filter", (wasm(project.DIST / "test" / "sdk_empty.wasm", "sdk-empty"),)),
        Variant("no-op filter of ours", (wasm(project.DIST / "test" / "noop.wasm", "noop"),)),
        SECURITY,
        Variant("security-headers, nothing to do", (wasm(security, "security-headers", {"preset": "off"}),)),
        Variant("request-tracing, `internal`, continue", (wasm(tracing, "request-tracing", TRACING_SETTINGS),)),
        Variant("request-tracing, nothing to do", (wasm(tracing, "request-tracing", {"mode": "off"}),)),
        Variant("both, as two modules", (wasm(tracing, "request-tracing", TRACING_SETTINGS), *SECURITY.filters)),
        Variant("both, as the chain", (wasm(project.DIST / "portcullis.wasm", "portcullis", chain),)),
        Variant(LIMITED, (rate_limit(MANY),)),
        Variant(REFUSED, (rate_limit(1),), status=429),
        Variant(PASSED, (problem_json({"formats": ["json"]}),)),
        Variant("problem-json negotiating, a success", (problem_json({}),)),
        Variant(REWRITTEN, (problem_json({"formats": ["json"]}),), status=404, answer=PAGE),
        Variant("rate-limit's host calls alone", (LIMITED_FLOOR,)),
        Variant("rate-limit's host calls of a 429 alone", (REFUSED_FLOOR,), status=429),
        Variant("request-tracing's host calls alone", (TRACED_FLOOR,)),
        Variant("one read of the status alone", (STATUS_FLOOR,)),
    ]


def contended():
    """Four windows, for more than one worker."""
    return Variant("rate-limit, two workers", (rate_limit(MANY),))


def native(headers):
    """Envoy's own ways to the same response headers."""
    return [
        Variant("header_mutation, the headers of `api`", (header_mutation(headers),)),
        Variant("Lua, the headers of `api`", (lua(headers),)),
        Variant(LIMITED_NATIVE, (local_ratelimit(MANY),)),
        Variant(REWRITTEN_LUA, (lua_problem(),), status=404, answer=PAGE),
        Variant("local_reply_config, a page of 404", status=404, answer=PAGE, manager=local_reply_problem()),
        Variant(REFUSED_NATIVE, (local_ratelimit(1),), status=429, manager=PROBLEM_MAPPER),
    ]


# Throughput with one key over that with many, both on two workers: the lower end of the interval.
CONTENDED_TARGET = 0.85

# (what, variant, beside, limit): the upper end of the interval of added CPU over added CPU. Without a limit: what no logic
# could go below.
TARGETS = [
    ("a no-op filter of ours", "no-op filter of ours", "SDK's empty filter", 0.8),
    ("security-headers", "security-headers, `api`", "header_mutation, the headers of `api`", 4.0),
    ("security-headers", "security-headers, `api`", "Lua, the headers of `api`", 1.45),
    ("request-tracing", "request-tracing, `internal`, continue", "SDK's empty filter", 2.4),
    ("security-headers with nothing to do", "security-headers, nothing to do", "SDK's empty filter", 1.0),
    ("rate-limit", LIMITED, LIMITED_NATIVE, 4.3),
    ("rate-limit", LIMITED, "SDK's empty filter", 2.6),
    ("rate-limit's 429", REFUSED, REFUSED_NATIVE, 3.5),
    ("problem-json", PASSED, "SDK's empty filter", 1.4),
    ("problem-json", REWRITTEN, REWRITTEN_LUA, 1.45),
    ("request-tracing with nothing to do", "request-tracing, nothing to do", "SDK's empty filter", 1.0),
    ("rate-limit's host calls alone", "rate-limit's host calls alone", LIMITED_NATIVE, None),
    ("rate-limit's host calls alone", "rate-limit's host calls alone", "SDK's empty filter", None),
    ("rate-limit's host calls of a 429 alone", "rate-limit's host calls of a 429 alone", REFUSED_NATIVE, None),
    ("request-tracing's host calls alone", "request-tracing's host calls alone", "SDK's empty filter", None),
    ("one read of the status alone", "one read of the status alone", "SDK's empty filter", None),
]
