"""Writes dashboards/portcullis.json: `python3 envoy/monitoring/grafana/dashboard.py`. With `--check` it only says whether that is
up to date."""

import json
import pathlib
import sys

FILE = pathlib.Path(__file__).resolve().parent / "dashboards" / "portcullis.json"
# In every selector: what the variables at the top choose.
CHOSEN = 'job=~"$job", instance=~"$instance"'
EDGE = f'{CHOSEN}, envoy_http_conn_manager_prefix="edge"'
COLUMNS, PANEL_WIDTH, PANEL_HEIGHT = 24, 8, 8


def rate(metric, by, selector=CHOSEN):
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def total(metric, by, selector=CHOSEN):
    return f"sum by ({by}) ({metric}{{{selector}}})"


def quantile(share, metric, by="", selector=CHOSEN):
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {rate(metric + '_bucket', labels, selector)}) / 1000"


def age(metric, by):
    return f"time() - (max by ({by}) ({metric}{{{CHOSEN}}}) > 0)"


# (row, [(title, unit, what it says, {legend: expression})])
AUDIT, SPANS, LIMIT = "portcullis_audit_log_", "portcullis_request_tracing_spans_", "portcullis_rate_limit_"
ROWS = [
    ("Requests", [
        ("Requests by class of status", "reqps", "What clients got.", {
            "{{envoy_response_code_class}}xx": rate("envoy_http_downstream_rq_xx", "envoy_response_code_class", EDGE)}),
        ("Failures", "percentunit", "The share of 5xx among all answers. Alert at 5 %.", {
            "{{job}}": 'job:portcullis_errors:ratio_rate5m{job=~"$job"}'}),
        ("Duration", "s", "From a request's first byte to the answer's last. Alert at a p95 of two seconds.", {
            "p50": quantile(0.5, "envoy_http_downstream_rq_time", selector=EDGE),
            "p95": 'job:portcullis_request_duration_seconds:p95_5m{job=~"$job"}',
            "p99": quantile(0.99, "envoy_http_downstream_rq_time", selector=EDGE)}),
        ("Error budget: burn rate", "short", "At 1 the budget of 30 days lasts 30 days. Alerts at 14.4, 6, 3 and 1.", {
            f"over {window}": f'job:portcullis_errors:ratio_rate{window}{{job=~"$job"}} / on () group_left () portcullis:error_budget:ratio'
            for window in ("1h", "6h", "1d", "3d")}),
        ("At the moment", "short", "What is being served.", {
            "requests": total("envoy_http_downstream_rq_active", "job", EDGE),
            "connections": total("envoy_http_downstream_cx_active", "job", EDGE)}),
        ("Alerts", "short", "Those that fire.", {
            "{{severity}}: {{alertname}}": 'sum by (severity, alertname) (ALERTS{alertstate="firing"})'}),
    ]),
    ("Plans: rate-limit", [
        ("Allowed by tier", "reqps", "Requests that were counted and passed.", {
            "{{tier}}": rate(LIMIT + "allowed_total", "tier"),
            "exempt": rate(LIMIT + "exempt_total", "job")}),
        ("Denied by tier and limit", "reqps", "By the limit that has them wait the longest.", {
            "{{tier}}: {{limit}}": rate(LIMIT + "denied_total", "tier, limit")}),
        ("Share denied", "percentunit", "Of what clients of a tier asked for. Alert at 25 %.", {
            "{{tier}}": 'job_tier:portcullis_rate_limit_denied:ratio_rate5m{job=~"$job"}'}),
        ("Close to a limit, or in shadow", "reqps", "Admitted requests that left a limit almost used up, and those that a limit in shadow would refuse.", {
            "{{tier}}: {{limit}} almost used up": rate(LIMIT + "near_limit_total", "tier, limit"),
            "{{tier}}: {{limit}} in shadow": rate(LIMIT + "shadow_denied_total", "tier, limit")}),
        ("Not decided", "reqps", "on_error decided instead. Decisions made anew are normal under load, until some are given up.", {
            "refused by the host": rate(LIMIT + "store_errors_total", "job"),
            "given up": rate(LIMIT + "cas_exhausted_total", "job"),
            "made anew": rate(LIMIT + "cas_retries_total", "job")}),
        ("Identities that had to go", "ops", "More clients than max_identities. Those at their limit begin anew.", {
            "all": rate(LIMIT + "evicted_total", "job"),
            "at their limit": rate(LIMIT + "table_full_total", "job")}),
        ("Tiers and counts that are none", "reqps", "What tokens and metadata say and the settings do not know.", {
            "tiers": rate(LIMIT + "unknown_tier_total", "job"),
            "counts": rate(LIMIT + "invalid_dynamic_total", "job")}),
        ("In flight", "short", "Requests that a concurrency limit counts.", {
            "{{instance}}": total(LIMIT + "in_flight", "instance")}),
    ]),
    ("Errors and protection: problem-json, security-headers", [
        ("Errors by category", "reqps", "Whose error it was: the client's (user), the service's (system), or that of something behind it (external). "
         "Derived from the status that the router got, as problem-json does by default: 4xx user, 502 to 504 external, other 5xx system. "
         "Not seen here: `categories` of your own, and what filters answered themselves.", {
            category: rate("envoy_cluster_upstream_rq", "job", f'{CHOSEN}, envoy_response_code=~"{codes}"')
            for category, codes in (("user", "4.."), ("system", "50[01]|50[5-9]|5[1-9]."), ("external", "50[234]"))}),
        ("Documents by source", "reqps", "What an error was made of.", {
            "{{source}}": rate("portcullis_problem_json_rewritten_total", "source")}),
        ("Errors left as they were", "reqps", "And why.", {
            "{{reason}}": rate("portcullis_problem_json_left_total", "reason")}),
        ("Taken out of errors", "ops", "What clients should not read. A service that leaks is worth mending.", {
            "things taken out": rate("portcullis_problem_json_redacted_total", "job"),
            "bodies too large to read": rate("portcullis_problem_json_too_large_total", "job")}),
        ("Requests that pages of other origins made", "reqps", "By what became of them, and why.", {
            "{{outcome}}: {{reason}}": rate("portcullis_security_headers_csrf_total", "outcome, reason")}),
        ("Mended for upstreams", "ops", "Cookies that lacked an attribute, CORS responses that lacked a header.", {
            "cookies": rate("portcullis_security_headers_cookies_hardened_total", "job"),
            "CORS: {{what}}": rate("portcullis_security_headers_cors_repaired_total", "what")}),
    ]),
    ("Traces: request-tracing", [
        ("Slow requests", "percentunit", "Slower than the slow_ms of their profile. Alert at 5 %.", {
            "{{job}}": 'job:portcullis_slow_requests:ratio_rate5m{job=~"$job"}'}),
        ("Slow requests by profile", "reqps", "The log has a line for each.", {
            "{{profile}}": rate("portcullis_request_tracing_slow_requests_total", "profile")}),
        ("Traces begun anew, ids made anew", "reqps", "What trusted peers sent and could not be continued.", {
            "{{reason}}": rate("portcullis_request_tracing_restarts_total", "reason"),
            "invalid request id": rate("portcullis_request_tracing_invalid_request_ids_total", "job")}),
        ("Spans", "ops", "What the sink took, what was given up, what the cap left out.", {
            "taken": rate(SPANS + "acknowledged_total", "job"),
            "given up: {{reason}}": rate(SPANS + "dropped_total", "reason"),
            "left out by max_per_second": rate("portcullis_request_tracing_sampling_capped_total", "job")}),
        ("Spans that wait", "short", "The most is queue.max_records for each worker.", {
            "{{instance}}": total(SPANS + "queued", "instance"),
            "{{instance}}, bytes": total(SPANS + "queued_bytes", "instance")}),
        ("Span sink", "short", "Batches and repeated ones a second, workers without an answer, seconds since the last one.", {
            "{{sink}}: batches": rate(SPANS + "batches_total", "sink"),
            "{{sink}}: repeated": rate(SPANS + "retries_total", "sink"),
            "{{sink}}: workers without answer": total(SPANS + "sink_down", "sink"),
            "{{sink}}: seconds since the last answer": age(SPANS + "last_acknowledged_seconds", "sink")}),
    ]),
    ("Records: audit-log", [
        ("Records by outcome", "ops", "And the requests that the rules leave out.", {
            "{{outcome}}": rate(AUDIT + "records_total", "outcome"),
            "left out": rate(AUDIT + "skipped_total", "job")}),
        ("Delivered and lost", "ops", "Each lost record is an alert.", {
            "taken": rate(AUDIT + "records_acknowledged_total", "job"),
            "given up: {{reason}}": rate(AUDIT + "records_dropped_total", "reason"),
            "missed by {{sink}}": rate(AUDIT + "records_missed_total", "sink")}),
        ("Records that wait", "short", "The most is delivery.queue.max_records for each worker.", {
            "{{instance}}": total(AUDIT + "records_queued", "instance")}),
        ("Bytes that wait", "bytes", "The most is delivery.queue.max_bytes for each worker.", {
            "{{instance}}": total(AUDIT + "records_queued_bytes", "instance")}),
        ("Sinks", "short", "Batches and repeated ones a second, and workers without an answer.", {
            "{{sink}}: batches": rate(AUDIT + "records_batches_total", "sink"),
            "{{sink}}: repeated": rate(AUDIT + "records_retries_total", "sink"),
            "{{sink}}: workers without answer": total(AUDIT + "records_sink_down", "sink")}),
        ("Requests that wait for their records", "ops", "Where fail_closed is set. Each refused request is an alert.", {
            "waited": rate(AUDIT + "fail_closed_waits_total", "job"),
            "refused: {{reason}}": rate(AUDIT + "fail_closed_denials_total", "reason"),
            "wait now": total(AUDIT + "fail_closed_waiting", "job"),
            "in shadow, would have waited": rate(AUDIT + "fail_closed_shadow_waits_total", "job"),
            "in shadow, would have been refused: {{reason}}": rate(AUDIT + "fail_closed_shadow_denials_total", "reason")}),
        ("Ages", "s", "Since a sink's last acknowledgement and the chain's last checkpoint. Alerts at five and ten minutes.", {
            "{{sink}}": age(AUDIT + "records_last_acknowledged_seconds", "sink"),
            "checkpoint of {{instance}}": age(AUDIT + "last_checkpoint_seconds", "instance")}),
    ]),
    ("Filters' VMs", [
        ("VMs", "short", "Of all plugins, workers and the main thread.", {
            "{{instance}}": total("envoy_wasm_wasm_vm_count", "instance")}),
        ("VMs replaced", "ops", "After a failure of a filter. Nothing should be here.", {
            "{{plugin}}: replaced": rate("envoy_wasm_vm_reload_success", "plugin"),
            "{{plugin}}: failed": rate("envoy_wasm_vm_reload_failure", "plugin"),
            "{{plugin}}: put off": rate("envoy_wasm_vm_reload_backoff", "plugin")}),
        ("Refused by the host", "short", "Effects of a filter that did not happen, in 15 minutes.", {
            "{{plugin}}": f"sum by (plugin) (job_instance_plugin:portcullis_host_refusals:increase15m{{{CHOSEN}}})"}),
    ]),
    ("Proxy and upstreams", [
        ("Memory", "bytes", "Envoy's own heap, without the VMs' memory.", {
            "{{instance}}: in use": total("envoy_server_memory_allocated", "instance"),
            "{{instance}}: heap": total("envoy_server_memory_heap_size", "instance"),
            "{{instance}}: resident": total("envoy_server_memory_physical_size", "instance")}),
        ("Limits of the overload manager", "percent", "Alerts at 80 %.", {
            "{{instance}}: heap": total("envoy_overload_envoy_resource_monitors_fixed_heap_pressure", "instance"),
            "{{instance}}: connections": total("envoy_overload_envoy_resource_monitors_global_downstream_max_connections_pressure", "instance"),
            "{{instance}}: refuses connections": total("envoy_overload_envoy_overload_actions_stop_accepting_connections_active", "instance"),
            "{{instance}}: refuses requests": total("envoy_overload_envoy_overload_actions_stop_accepting_requests_active", "instance")}),
        ("Up for", "s", "", {
            "{{instance}}": total("envoy_server_uptime", "instance")}),
        ("Settings that were refused", "short", "In 15 minutes. The proxy goes on with what it had.", {
            "{{instance}}: {{what}}": f"job_instance_what:portcullis_settings_rejected:increase15m{{{CHOSEN}}}"}),
        ("First certificate to expire", "d", "In days. Alert at 14.", {
            "{{instance}}": f"min by (instance) (envoy_server_days_until_first_cert_expiring{{{CHOSEN}}})"}),
        ("Healthy hosts", "percentunit", "Of each cluster.", {
            "{{envoy_cluster_name}}": f"{total('envoy_cluster_membership_healthy', 'envoy_cluster_name')} / ({total('envoy_cluster_membership_total', 'envoy_cluster_name')} > 0)"}),
        ("Requests to upstreams", "reqps", "With those repeated and those refused by a circuit breaker.", {
            "{{envoy_cluster_name}}": rate("envoy_cluster_upstream_rq_total", "envoy_cluster_name"),
            "{{envoy_cluster_name}}: repeated": rate("envoy_cluster_upstream_rq_retry", "envoy_cluster_name"),
            "{{envoy_cluster_name}}: refused": rate("envoy_cluster_upstream_rq_pending_overflow", "envoy_cluster_name")}),
        ("Duration at upstreams, p95", "s", "", {
            "{{envoy_cluster_name}}": quantile(0.95, "envoy_cluster_upstream_rq_time", "envoy_cluster_name")}),
        ("Taken out by outlier detection", "short", "", {
            "{{envoy_cluster_name}}": total("envoy_cluster_outlier_detection_ejections_active", "envoy_cluster_name")}),
    ]),
]


def panel(number, at, spec):
    title, unit, text, expressions = spec
    row, column = divmod(at, COLUMNS // PANEL_WIDTH)
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "description": text,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": PANEL_HEIGHT, "w": PANEL_WIDTH, "x": column * PANEL_WIDTH, "y": row * PANEL_HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend}
            for index, (legend, expression) in enumerate(expressions.items())
        ],
    }


def panels():
    done, number, y = [], 0, 0
    for title, specs in ROWS:
        number += 1
        done.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}})
        y += 1
        for at, spec in enumerate(specs):
            number += 1
            made = panel(number, at, spec)
            made["gridPos"]["y"] += y
            done.append(made)
        y = done[-1]["gridPos"]["y"] + PANEL_HEIGHT
    return done


def variable(name, label):
    return {
        "name": name, "label": label, "type": "query", "multi": True, "includeAll": True, "refresh": 2, "sort": 1,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": f"label_values(envoy_server_uptime, {name})" if name == "job" else f'label_values(envoy_server_uptime{{job=~"$job"}}, {name})',
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard():
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {"text": "Prometheus", "value": "prometheus"}}
    return {
        "uid": "portcullis",
        "title": "Portcullis",
        "description": "Envoy with the Portcullis filters. Written by grafana/dashboard.py.",
        "tags": ["envoy", "portcullis"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "utc",
        "graphTooltip": 1,
        "templating": {"list": [source, variable("job", "Job"), variable("instance", "Instance")]},
        "annotations": {"list": []},
        "panels": panels(),
    }


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if FILE.is_file() and FILE.read_text() == text else f"{FILE.name} is not what dashboard.py writes; run `python3 envoy/monitoring/grafana/dashboard.py`")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text)


if __name__ == "__main__":
    main()
