//! What upstreams tell of their inside beside the text: codes, types, names of fields, headers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail by panic.

mod passing;

use passing::{ID, Sent, bench, get, pass};
use serde_json::{Value, json};

fn error(settings: &Value, status: &str, body: &Value, headers: &[(&str, &str)]) -> Sent {
    let mut response = vec![(":status", status), ("content-type", "application/json")];
    response.extend_from_slice(headers);
    let body = body.to_string();
    pass(
        &bench(settings.clone()),
        get(&[]),
        &response,
        &[body.as_bytes(), b""],
    )
}

#[test]
fn names_of_what_failed_inside_are_no_codes_of_a_5xx() {
    for name in [
        "PDOException",
        "SequelizeConnectionRefusedError",
        "ECONNREFUSED",
        "ER_DUP_ENTRY",
        "search_phase_execution_exception",
        "com.acme.orders.Broken",
        "23505",
        "42P01",
        "P2002",
        "users_email_key",
        "EBUSY",
        "EINVAL",
        "UND_ERR_CONNECT_TIMEOUT",
        "ENOENT:/etc",
        "UserRepository.findById",
        "PSQLException:x",
        "KeyError:customer_iban",
        "BillingService/ChargeCard",
        "orders-db-prod-one",
        "orders-db:5999",
        "/internal/ledger",
        "hunter2",
        "E1042",
        "RedisTimeout",
    ] {
        for body in [
            json!({"error": {"type": name}}),
            json!({"error": name}),
            json!({"code": name, "message": "x"}),
        ] {
            let sent = error(&json!({}), "500", &body, &[]);
            assert_eq!(sent.json()["code"], Value::Null, "{body}");
        }
    }
    for number in [1062, 11000] {
        let body = json!({"code": number, "message": "x"});
        assert_eq!(
            error(&json!({}), "500", &body, &[]).json()["code"],
            Value::Null
        );
    }
    for name in [
        "out_of_stock",
        "INTERNAL_ERROR",
        "internal_error",
        "UNAVAILABLE",
        "Unavailable",
        "timeout",
    ] {
        let sent = error(&json!({}), "500", &json!({"error": name}), &[]);
        assert_eq!(sent.json()["code"], name);
    }
}

#[test]
fn a_code_of_a_5xx_that_the_settings_know_stays_and_so_do_those_of_4xx() {
    let body = json!({"error": {"type": "LimitException"}});
    let known = json!({"codes": {"LimitException": {"title": "Too much"}}});
    let sent = error(&known, "500", &body, &[]).json();
    assert_eq!(
        (&sent["code"], &sent["title"]),
        (&json!("LimitException"), &json!("Too much"))
    );
    let allowed = json!({"upstream": {"allow_server_text": ["LimitException"]}});
    assert_eq!(
        error(&allowed, "500", &body, &[]).json()["code"],
        "LimitException"
    );
    assert_eq!(
        error(&json!({}), "400", &body, &[]).json()["code"],
        "LimitException"
    );
}

#[test]
fn the_type_of_a_5xx_stays_behind_unless_the_settings_name_it() {
    let body = |kind: &str| json!({"type": kind, "title": "Broken", "status": 500});
    let inner = "http://orders-db-7.prod.acme.net:9876/problems/db";
    let public = "https://api.example.com/problems/db";
    for kind in [inner, public] {
        assert_eq!(
            error(&json!({}), "500", &body(kind), &[]).json()["type"],
            "about:blank"
        );
    }
    let named = json!({"types": {"503": public}});
    assert_eq!(
        error(&named, "500", &body(public), &[]).json()["type"],
        public
    );
    assert_eq!(
        error(&named, "500", &body(inner), &[]).json()["type"],
        "about:blank"
    );
    assert_eq!(
        error(&json!({}), "400", &body(public), &[]).json()["type"],
        public
    );
    assert_eq!(
        error(&json!({}), "400", &body(inner), &[]).json()["type"],
        "about:blank"
    );
}

#[test]
fn the_code_in_a_header_heeds_what_the_settings_say_of_json() {
    let header = [("x-amzn-errortype", "OutOfStock:http://internal/")];
    let drop = json!({"upstream": {"json": "drop"}});
    let known = json!({"codes": {"OutOfStock": {"title": "Sold out"}}});
    for (settings, status, code) in [
        (&drop, "400", Value::Null),
        (&drop, "500", Value::Null),
        (&json!({}), "400", json!("OutOfStock")),
        (&json!({}), "500", Value::Null),
        (&known, "500", json!("OutOfStock")),
    ] {
        let sent = error(settings, status, &json!({}), &header).json();
        assert_eq!(sent["code"], code, "{status}");
    }
    let plain = [("x-amzn-errortype", "orders_table_throttled")];
    let sent = error(&json!({}), "500", &json!({}), &plain).json();
    assert_eq!(sent["code"], Value::Null);
    let named = [("x-amzn-errortype", "com.acme#LedgerDatabaseException")];
    let sent = error(&json!({}), "500", &json!({}), &named);
    assert_eq!(sent.json()["code"], Value::Null);
    assert_eq!(sent.header("x-amzn-errortype"), None);
    let sent = error(&json!({}), "400", &json!({}), &named);
    assert_eq!(sent.json()["code"], "LedgerDatabaseException");
    assert!(sent.header("x-amzn-errortype").is_some());
}

#[test]
fn what_a_name_of_a_field_holds_is_looked_at_as_it_was_written() {
    for key in [
        "C:\\inetpub\\wwwroot\\web.config",
        "SELECT * FROM users WHERE id = 1",
        "secret hunter2x9",
        "see /etc/passwd",
        "john.doe%40example.com",
        "8f14e45fceea167a5a36dedd4bea2543",
        "see [/etc/passwd]",
        "/etc/passwd",
        "/var/lib/ledger",
    ] {
        for body in [
            json!({"errors": {key: ["is odd"]}}),
            json!({"errors": [{"field": key, "message": "is odd"}]}),
            json!({"detail": [{"loc": ["body", key], "msg": "is odd", "type": "x"}]}),
            json!({"errors": [{"detail": "is odd", "source": {"pointer": format!("/{}", key.trim_start_matches('/'))}}]}),
        ] {
            let sent = error(&json!({}), "422", &body, &[]).json();
            assert_eq!(sent["errors"][0]["pointer"], Value::Null, "{body}: {sent}");
        }
    }
    for (key, pointer) in [
        ("items[0].name", "#/items/0/name"),
        ("Customer.Address.Street", "#/Customer/Address/Street"),
        ("data.attributes.age", "#/data/attributes/age"),
        ("first name", "#/first%20name"),
        ("Straße", "#/Stra%C3%9Fe"),
        ("a/b", "#/a~1b"),
    ] {
        let body = json!({"errors": {key: ["is odd"]}});
        let sent = error(&json!({}), "422", &body, &[]).json();
        assert_eq!(sent["errors"][0]["pointer"], pointer, "{sent}");
    }
}

const FOR_DEVELOPERS: [(&str, &str); 6] = [
    ("x-debug-exception", "Broken%20ledger"),
    ("x-debug-exception-file", "%2Fsrv%2Fapp%2FLedger.php:7"),
    ("x-error-message", "ledger is broken"),
    ("x-exception", "ledger is broken"),
    ("warning", "199 - \"SELECT a FROM ledger\""),
    ("x-debug-token", "ab12cd"),
];

#[test]
fn headers_for_developers_leave_with_no_error() {
    let kept = [
        ("x-error-code", "7"),
        ("x-request-id", ID),
        ("warning", "299 - \"Deprecated\""),
    ];
    let problem = json!({"title": "Short", "status": 400}).to_string();
    for (status, kind, body) in [
        ("400", "application/json", "{\"message\":\"x\"}"),
        ("500", "text/html", "x"),
        ("400", "application/problem+json", problem.as_str()),
        ("404", "", ""),
    ] {
        for hold in ["replace", "hold"] {
            let bench = bench(json!({"body": hold}));
            let mut response = vec![(":status", status), ("content-type", kind)];
            response.extend(FOR_DEVELOPERS);
            response.extend(kept);
            let pieces: &[&[u8]] = if body.is_empty() {
                &[]
            } else {
                &[body.as_bytes(), b""]
            };
            let sent = pass(&bench, get(&[]), &response, pieces);
            for (name, value) in FOR_DEVELOPERS {
                assert_ne!(sent.header(name), Some(value), "{status} {kind} {name}");
            }
            for (name, value) in kept {
                assert_eq!(sent.header(name), Some(value), "{status} {kind} {name}");
            }
        }
    }
}

#[test]
fn headers_for_developers_stay_on_what_is_no_error_and_where_the_settings_keep_them() {
    let response = |status| {
        [
            (":status", status),
            ("x-error-message", "a"),
            ("x-exception", "b"),
        ]
    };
    let sent = pass(&bench(json!({})), get(&[]), &response("200"), &[b"x"]);
    assert_eq!(sent.header("x-exception"), Some("b"));
    let kept = bench(json!({"keep_headers": ["X-Error-Message"]}));
    let sent = pass(&kept, get(&[]), &response("400"), &[b"x"]);
    assert_eq!(sent.header("x-error-message"), Some("a"));
    assert_eq!(sent.header("x-exception"), None);
}

#[test]
fn challenges_say_nothing_of_the_inside_and_stay_challenges() {
    let text =
        "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"SELECT a FROM tokens\"";
    for pieces in [&[][..], &[&b"x"[..]]] {
        let response = [
            (":status", "401"),
            ("www-authenticate", text),
            ("www-authenticate", "Basic realm=\"api\""),
        ];
        let sent = pass(&bench(json!({})), get(&[]), &response, pieces);
        let lines: Vec<&[u8]> = sent.fake.response.get_all("www-authenticate").collect();
        assert_eq!(
            lines,
            [
                &b"Bearer realm=\"api\", error=\"invalid_token\", error_description=\"[redacted]\""
                    [..],
                b"Basic realm=\"api\"",
            ]
        );
    }
}

#[test]
fn a_header_that_stays_anyway_is_not_named_as_kept() {
    use portcullis_kit::testing::Bench;
    use problem_json::ProblemJson;
    type Filter = portcullis_kit::plugin::Plugin<ProblemJson>;
    for name in ["x-request-id", "", "warning", "x-error-code"] {
        let settings = json!({"keep_headers": [name]});
        assert!(Bench::<Filter>::load(&settings).is_err(), "{name}");
    }
}

#[test]
fn of_a_flood_of_mistakes_the_first_pass_and_the_rest_is_not_even_read() {
    let mistakes: Vec<Value> = (0..32)
        .map(|at| json!({"message": format!("Number {at} {}", "is too long. ".repeat(76)), "code": "too_long"}))
        .collect();
    let body = json!({"errors": mistakes});
    let document = error(&json!({}), "422", &body, &[]).json();
    let errors = document["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 8);
    assert_eq!(errors[7]["code"], "too_long");
    assert!(
        errors[7]["detail"]
            .as_str()
            .unwrap()
            .starts_with("Number 7 ")
    );
}

#[test]
fn addresses_and_descriptions_in_headers_say_nothing_of_the_inside() {
    for (name, goes, stays) in [
        (
            "link",
            "<http://10.0.0.5:8080/x>; rel=\"self\"",
            "<https://api.example.com/home/orders?page=2>; rel=\"next\"",
        ),
        ("location", "http://orders-db.internal:8080/", "/home/login"),
        (
            "server-timing",
            "db;desc=\"SELECT * FROM users\"",
            "db;dur=53.2, app;desc=\"Cache Read\";dur=47.2",
        ),
    ] {
        let response = [
            (":status", "500"),
            ("content-type", "text/html"),
            (name, goes),
            (name, stays),
        ];
        let sent = pass(&bench(json!({})), get(&[]), &response, &[b"x"]);
        let lines: Vec<&[u8]> = sent.fake.response.get_all(name).collect();
        assert_eq!(lines, [stays.as_bytes()], "{name}");
    }
}

#[test]
fn a_status_of_grpc_leaves_with_no_page() {
    let grpc = [
        ("grpc-status", "13"),
        ("grpc-message", "pq%3A%20password"),
        ("grpc-status-details-bin", "AAAA"),
    ];
    for (kind, stays) in [("text/html", false), ("application/grpc", true), ("", true)] {
        let mut response = vec![(":status", "500")];
        response.extend((!kind.is_empty()).then_some(("content-type", kind)));
        response.extend(grpc);
        let sent = pass(
            &bench(json!({})),
            get(&[("te", "trailers")]),
            &response,
            &[],
        );
        for (name, value) in grpc {
            assert_eq!(sent.header(name), stays.then_some(value), "{kind} {name}");
        }
    }
}

#[test]
fn of_a_flood_of_texts_in_headers_only_eight_kibibytes_are_read() {
    let line = format!(
        "Bearer realm=\"api\", error=x, error_description=\"{}\"",
        "all is well ".repeat(80)
    );
    let warning = format!("199 - \"{}\"", "all is well ".repeat(80));
    let mut response = vec![(":status", "401")];
    response.extend([("www-authenticate", line.as_str())].repeat(20));
    response.extend([("warning", warning.as_str())].repeat(20));
    let sent = pass(&bench(json!({})), get(&[]), &response, &[b"x"]);
    let lines: Vec<&[u8]> = sent.fake.response.get_all("www-authenticate").collect();
    let (read, unread) = lines.split_at(8);
    assert!(read.iter().all(|read| *read == line.as_bytes()));
    assert_eq!(unread, [&b"Bearer realm=\"api\", error=x"[..]; 12]);
    assert_eq!(sent.header("warning"), None);
}
