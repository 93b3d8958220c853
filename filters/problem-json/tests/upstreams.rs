//! The tables: what is read of each shape, and what is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // A test may fail by panic.

use problem_json::redact::{Kinds, Mode, Redaction};
use problem_json::upstream::{Found, Place, Said, error_type, read};
use serde_json::{Value, json};

fn shape_of(body: &str) -> (&'static str, Option<String>, Option<String>) {
    match read(body.as_bytes(), b"application/json", true) {
        Found::Known(said) => (said.shape, said.code, said.message),
        Found::OAuth(said) => ("pure-oauth", said.code, said.message),
        Found::Problem => ("problem", None, None),
        Found::Unknown => ("unknown", None, None),
    }
}

#[test]
fn each_shape_is_known_by_its_members() {
    for (body, shape, code, message) in [
        (
            r#"{"message":"No stock"}"#,
            "message",
            None,
            Some("No stock"),
        ),
        (
            r#"{"code":"E42","message":"No stock"}"#,
            "code-message",
            Some("E42"),
            Some("No stock"),
        ),
        (
            r#"{"code":20404,"message":"gone","status":404}"#,
            "code-message",
            Some("20404"),
            Some("gone"),
        ),
        (
            r#"{"code":404,"message":"gone"}"#,
            "message",
            None,
            Some("gone"),
        ),
        (
            r#"{"error":"No stock left"}"#,
            "error-text",
            None,
            Some("No stock left"),
        ),
        (
            r#"{"error":"not_found"}"#,
            "error-text",
            Some("not_found"),
            None,
        ),
        (
            r#"{"error":"Not Found"}"#,
            "error-text",
            None,
            Some("Not Found"),
        ),
        (
            r#"{"error":"not_found","message":"No order 7"}"#,
            "code-message",
            Some("not_found"),
            Some("No order 7"),
        ),
        (
            r#"{"error":{"message":"m","code":"c"}}"#,
            "error-object",
            Some("c"),
            Some("m"),
        ),
        (
            r#"{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}"#,
            "google",
            Some("NOT_FOUND"),
            Some("m"),
        ),
        (
            r#"{"error":{"code":"BadArgument","message":"m","target":"x","innererror":{"trace":"t"}}}"#,
            "error-object",
            Some("BadArgument"),
            Some("m"),
        ),
        (
            r#"{"error":"invalid_grant"}"#,
            "pure-oauth",
            Some("invalid_grant"),
            None,
        ),
        (
            r#"{"error":"invalid_token","error_description":"d"}"#,
            "pure-oauth",
            Some("invalid_token"),
            Some("d"),
        ),
        (
            r#"{"error":"own_code","error_description":"d","error_uri":"u"}"#,
            "pure-oauth",
            Some("own_code"),
            Some("d"),
        ),
        (
            r#"{"error":"invalid_grant","error_description":"d","stack":"at x"}"#,
            "oauth",
            Some("invalid_grant"),
            Some("d"),
        ),
        (
            r#"{"error":"invalid_grant","error_description":{"a":1}}"#,
            "oauth",
            Some("invalid_grant"),
            None,
        ),
        (
            r#"{"detail":"Not found."}"#,
            "django",
            None,
            Some("Not found."),
        ),
        (
            r#"{"detail":"Bad","code":"token_not_valid"}"#,
            "django",
            Some("token_not_valid"),
            Some("Bad"),
        ),
        (
            r#"{"detail":{"code":"E1","message":"m"}}"#,
            "fastapi",
            Some("E1"),
            Some("m"),
        ),
        (r#"{"name":["required"]}"#, "django", None, None),
        (r#"{"errors":["a","b"]}"#, "errors", None, Some("a")),
        (
            r#"{"errors":[{"code":34,"message":"Sorry"}]}"#,
            "errors",
            Some("34"),
            Some("Sorry"),
        ),
        (
            r#"{"errors":[{"message":"m","extensions":{"code":"C_D"}}],"data":null}"#,
            "graphql",
            Some("C_D"),
            Some("m"),
        ),
        (r#"{"errors":{"name":["x"]}}"#, "rails", None, None),
        (
            r#"{"Message":"User is not authorized"}"#,
            "aws",
            None,
            Some("User is not authorized"),
        ),
        (
            r#"{"__type":"a.b#C:http://x","Message":"m"}"#,
            "aws",
            Some("C"),
            Some("m"),
        ),
        (
            r#"{"title":"Constraint Violation","status":400,"violations":[{"field":"a","message":"m"}]}"#,
            "problem",
            None,
            Some("Constraint Violation"),
        ),
        (
            r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"No order","instance":"/orders/7"}"#,
            "problem",
            None,
            Some("No order"),
        ),
        (
            r#"{"status":404,"error":"Not Found","exception":"x","traces":{}}"#,
            "unknown",
            None,
            None,
        ),
        (
            r#"{"timestamp":1,"status":404,"error":"Not Found","path":"/x"}"#,
            "unknown",
            None,
            None,
        ),
        (
            "\u{feff}{\"message\":\"with a mark\"}",
            "message",
            None,
            Some("with a mark"),
        ),
        (r#"{"message":"a","message":"b"}"#, "unknown", None, None),
        (r#"{"ok":false}"#, "unknown", None, None),
        (r#"{"orders":[1,2]}"#, "unknown", None, None),
        ("{}", "unknown", None, None),
        ("[]", "unknown", None, None),
        ("\"text\"", "unknown", None, None),
        ("null", "unknown", None, None),
        ("", "unknown", None, None),
        (r#"{"message":""#, "unknown", None, None),
        (r#"{"message":"m","n":1e999}"#, "unknown", None, None),
        (r#"{"message":null,"code":null}"#, "unknown", None, None),
    ] {
        let found = shape_of(body);
        let found = (found.0, found.1.as_deref(), found.2.as_deref());
        assert_eq!(found, (shape, code, message), "{body}");
    }
}

#[test]
fn the_media_type_decides_what_is_read() {
    let body = br#"{"message":"m"}"#;
    let known =
        |content_type: &str| matches!(read(body, content_type.as_bytes(), true), Found::Known(_));
    for json in [
        "application/json",
        "Application/JSON ; charset=utf-8",
        "text/json",
        "application/hal+json",
        "application/x-amz-json-1.1",
        "",
    ] {
        assert!(known(json), "{json}");
    }
    for other in [
        "text/html",
        "text/plain",
        "application/octet-stream",
        "application/grpc",
        "image/png",
        "json",
        "\u{0}",
    ] {
        assert!(!known(other), "{other}");
    }
    for problem in [
        "application/problem+json",
        "application/problem+xml; charset=utf-8",
        "APPLICATION/PROBLEM+JSON",
    ] {
        assert_eq!(read(b"anything", problem.as_bytes(), false), Found::Problem);
    }
    assert_eq!(read(body, b"application/json", false), Found::Unknown);
}

#[test]
fn xml_of_aws_is_read_and_no_other() {
    let said = |body: &str| match read(body.as_bytes(), b"text/xml", true) {
        Found::Known(said) => (
            said.code.unwrap_or_default(),
            said.message.unwrap_or_default(),
        ),
        _ => Default::default(),
    };
    let pair = |code: &str, message: &str| (code.to_owned(), message.to_owned());
    assert_eq!(
        said(
            "<ErrorResponse xmlns=\"u\"><Error><Type>Sender</Type><Code>Throttling</Code><Message>a &lt;b&gt; &#x41;&#66; &nope; &amp</Message></Error></ErrorResponse>"
        ),
        pair("Throttling", "a <b> AB &nope; &amp")
    );
    assert_eq!(
        said("<Error><Code>A</Code><Message>a<b/></Message></Error>"),
        pair("A", "")
    );
    for nothing in [
        "<!DOCTYPE x [<!ENTITY a \"b\">]><Error><Code>A</Code></Error>",
        "<!DOCTYPE Error><Error><Code>A</Code></Error>",
        "<!ENTITY a \"b\"><Error><Code>A</Code></Error>",
        "<html><Code>A</Code></html>",
        "<Error><Code>",
        "<Error>",
        "",
        "&#xD800;<Error><Message>&#xD800",
    ] {
        assert_eq!(said(nothing), pair("", ""), "{nothing}");
    }
    assert_eq!(
        error_type(b"ValidationException:http://x/").as_deref(),
        Some("ValidationException")
    );
    assert_eq!(error_type(b"a.b#C").as_deref(), Some("C"));
    assert_eq!(error_type(b"no word"), None);
    assert_eq!(error_type(b"\xff"), None);
}

fn said(body: Value) -> Said {
    match read(body.to_string().as_bytes(), b"application/json", true) {
        Found::Known(said) | Found::OAuth(said) => said,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_field_is_pointed_at_as_rfc_6901_writes_it() {
    for (field, expected) in [
        ("age", "#/age"),
        ("user.tags[0].name", "#/user/tags/0/name"),
        ("items.0.price", "#/items/0/price"),
        ("$.a.b", "#/a/b"),
        (
            "/data/attributes/first-name",
            "#/data/attributes/first-name",
        ),
        ("#/a/b", "#/a/b"),
        ("/a~1b/c~0d", "#/a~1b/c~0d"),
        ("größe \"x\"", "#/gr%C3%B6%C3%9Fe%20%22x%22"),
        ("a/b", "#/a~1b"),
    ] {
        let said = said(json!({"errors": [{"field": field, "message": "m"}]}));
        assert_eq!(
            said.details[0].place,
            Some(Place::Pointer(expected.to_owned())),
            "{field}"
        );
    }
}

#[test]
fn what_is_too_long_or_too_much_is_cut() {
    let long = "é".repeat(2000);
    assert!(said(json!({"message": long})).message.unwrap().len() <= 2048);
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
    let cut = |text: &str| {
        let mut said = said(json!({"message": text, "errors": [{"field": "a", "message": text}]}));
        said.redact(&redaction);
        assert_eq!(said.message, said.details[0].message);
        said.message.unwrap()
    };
    let message = cut(&long);
    assert!(message.len() <= 1030 && message.ends_with('…'));
    for secret in [
        "bob.smith@example.com",
        "AKIAIOSFODNN7EXAMPLE",
        "4111 1111 1111 1111",
        "SELECT iban, email FROM customers",
    ] {
        for before in 990..1030 {
            let words = "too long ".repeat(before / 9);
            let message = cut(&format!(
                "{words}{}{secret} and more",
                ".".repeat(before % 9)
            ));
            let end = message.get(words.len()..).unwrap_or_default();
            for part in ["bob", "AKIA", "4111", "iban"] {
                assert!(!end.contains(part), "{before}: {end}");
            }
            assert!(message.len() <= 1030);
        }
    }
    assert_eq!(
        said(json!({"message": "m", "code": "c".repeat(65)})).code,
        None
    );
    let many: Vec<Value> = (0..500)
        .map(|at| json!({"field": at.to_string(), "message": "m"}))
        .collect();
    assert_eq!(said(json!({"errors": many})).details.len(), 32);
}

#[test]
fn depth_ends_nothing_but_the_reading() {
    for depth in [5usize, 100, 127, 128, 1000, 30_000] {
        let (open, close) = ("{\"a\":[".repeat(depth), "]}".repeat(depth));
        for body in [
            format!("{{\"message\":\"m\",\"x\":{open}\"x\"{close}}}"),
            format!("{open}\"x\"{close}"),
            "[".repeat(depth),
            format!("{{\"errors\":{open}\"x\"{close}}}"),
        ] {
            let found = read(body.as_bytes(), b"application/json", true);
            if depth >= 128 {
                assert_eq!(found, Found::Unknown, "{depth}");
            }
        }
    }
}

#[test]
fn secrets_in_codes_and_fields_take_these_away() {
    let mut said = said(
        json!({"code": "com.example.shop.StockException", "message": "ask bob@example.com", "errors": [
            {"field": "bob@example.com", "message": "from 10.0.0.1"}, {"field": "age", "message": "m", "code": "AKIAIOSFODNN7EXAMPLE"}
        ]}),
    );
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
    let found = said.redact(&redaction);
    assert_eq!(found, 5, "{said:?}");
    assert_eq!(said.code, None);
    assert_eq!(said.message.as_deref(), Some("ask [redacted]"));
    assert_eq!(
        said.errors().unwrap(),
        json!([{"detail": "from [redacted]"}, {"detail": "m", "pointer": "#/age"}])
    );
    let closed = Redaction::new(Kinds::ALL, Mode::AllowList, &["m"]).unwrap();
    said.redact(&closed);
    assert_eq!((said.message, said.details.len()), (None, 1));
}

#[test]
fn places_of_ordinary_fields_stay_and_what_is_inside_one_segment_goes() {
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
    let place = |field: &str| {
        let mut said = said(json!({"errors": [{"field": field, "message": "m"}]}));
        said.redact(&redaction);
        said.details.first().and_then(|first| first.place.clone())
    };
    for (field, expected) in [
        ("home.street", "#/home/street"),
        ("repository.private", "#/repository/private"),
        ("spec.cluster", "#/spec/cluster"),
        ("address.local", "#/address/local"),
        ("private.name", "#/private/name"),
        ("opt.in", "#/opt/in"),
        ("var.x", "#/var/x"),
        ("root.a", "#/root/a"),
        ("home/street", "#/home~1street"),
        ("etc.note", "#/etc/note"),
        ("data.log.level", "#/data/log/level"),
    ] {
        let expected = Place::Pointer(expected.to_owned());
        assert_eq!(place(field), Some(expected), "{field}");
    }
    for field in [
        "localhost",
        "/etc/nginx/site.conf",
        "orders-db-7.prod.internal",
        "10.0.0.1",
        "com.acme.orders.LimitError",
        "a.AKIAIOSFODNN7EXAMPLE",
    ] {
        assert_eq!(place(field), None, "{field}");
    }
}

#[test]
fn no_place_is_longer_than_a_kibibyte() {
    let name = "n".repeat(400);
    let body =
        json!({"errors": {name.as_str(): {name.as_str(): {name.as_str(): ["a"], "b": ["c"]}}}});
    let places: Vec<_> = said(body).details.into_iter().map(|it| it.place).collect();
    let expected = Place::Pointer(format!("#/{name}/{name}/b"));
    assert_eq!(places, [Some(expected)]);
    let path = vec![name.as_str(); 3];
    let said = said(json!({"message": "x", "errors": [{"path": path, "message": "m"}]}));
    assert_eq!(said.details[0].message.as_deref(), Some("m"));
    assert_eq!(said.details[0].place, None);
}

#[test]
fn what_google_says_for_others_stays_behind() {
    let said = said(
        json!({"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": [
            {"@type": "type.googleapis.com/google.rpc.DebugInfo", "stackEntries": ["frame"], "detail": "inside"},
            {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "d", "url": "u"}]},
            {"@type": "type.googleapis.com/google.rpc.ResourceInfo", "description": "d", "owner": "o"},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_DISABLED", "metadata": {"a": "b"}}
        ]}}),
    );
    assert_eq!(said.details, []);
    assert_eq!(said.code.as_deref(), Some("API_DISABLED"));
}

#[test]
fn a_wait_of_google_is_whole_seconds() {
    for (delay, expected) in [
        ("30s", Some(30)),
        ("1.5s", Some(2)),
        ("2.000s", Some(2)),
        ("0.1s", Some(1)),
        ("30", None),
        ("-1s", None),
        ("xs", None),
    ] {
        let said = said(
            json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
            ]}}),
        );
        assert_eq!(said.retry_after_s, expected, "{delay}");
    }
}

#[test]
fn what_a_program_tells_of_itself_is_no_mistake_in_a_field() {
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
    for body in [
        json!({"code": "x_y", "message": "m", "details": {"password": "hunter2", "token": "tok-abc", "host": "orders-db",
            "stmt": "call charge on ledger"}}),
        json!({"message": "m", "details": {"debug": {"sql_params": ["bob smith", "4711"]}, "worker": "orders seven"}}),
        json!({"trace": ["foo in ledger_charge step 3"], "backtrace": ["ledger charge"], "debug": {"params": ["bob s"]}}),
        json!({"message": "m", "errors": {"meta": {"worker": ["ledger seven"]}, "stackTrace": ["in ledger charge"],
            "sql_params": ["bob smith"], "context": {"a": "bob smith"}}}),
    ] {
        let mut found = match read(body.to_string().as_bytes(), b"application/json", true) {
            Found::Known(said) => said,
            Found::Unknown => continue,
            other => panic!("{other:?}"),
        };
        found.redact(&redaction);
        assert_eq!(found.errors(), None, "{body}");
    }
}

#[test]
fn a_bare_word_is_no_mistake_and_a_secret_by_its_name_is_none_either() {
    let redaction = Redaction::new(Kinds::ALL, Mode::DenyList, &[]).unwrap();
    let errors = |body: Value| {
        let mut said = said(body);
        said.redact(&redaction);
        said.errors().unwrap()
    };
    assert_eq!(
        errors(
            json!({"errors": {"session": "s3cr3t", "customer": ["Smith"], "name": ["required"], "x": "不能为空",
            "query": ["This field is required."], "meta": "is too long"}})
        ),
        json!([
            {"pointer": "#/customer"}, {"detail": "is too long", "pointer": "#/meta"},
            {"detail": "required", "pointer": "#/name"}, {"detail": "This field is required.", "pointer": "#/query"},
            {"pointer": "#/session"}, {"detail": "不能为空", "pointer": "#/x"}
        ])
    );
    assert_eq!(
        errors(json!({"errors": [
            {"field": "password", "message": "hunter2"}, {"field": "user.apiKey", "message": "abc-def"},
            {"field": "password", "message": "is too short"}, {"field": "token", "message": "expired"},
            {"field": "password", "message": "hunter2 is too short"}, {"field": "password", "message": "\"password\" is required"},
            {"field": "password", "message": "Das Passwort ist zu kurz."}, {"field": "password", "message": "长度必须在8到64之间"}
        ]})),
        json!([
            {"pointer": "#/password"}, {"pointer": "#/user/apiKey"},
            {"detail": "is too short", "pointer": "#/password"}, {"detail": "expired", "pointer": "#/token"},
            {"pointer": "#/password"}, {"detail": "\"password\" is required", "pointer": "#/password"},
            {"detail": "Das Passwort ist zu kurz.", "pointer": "#/password"},
            {"detail": "长度必须在8到64之间", "pointer": "#/password"}
        ])
    );
}

#[test]
fn mistakes_in_fields_are_read_where_frameworks_write_them() {
    for (body, expected) in [
        (
            json!({"errors": [{"keyword": "pattern", "instancePath": "/user/name", "message": "must match it"}]}),
            json!([{"detail": "must match it", "code": "pattern", "pointer": "#/user/name"}]),
        ),
        (
            json!({"error": {"password": ["is too short"]}}),
            json!([{"detail": "is too short", "pointer": "#/password"}]),
        ),
        (
            json!({"status": "fail", "data": {"title": "A title is required"}}),
            json!([{"detail": "A title is required", "pointer": "#/title"}]),
        ),
        (
            json!({"message": "m", "details": [{"field": "age", "message": "is odd"}]}),
            json!([{"detail": "is odd", "pointer": "#/age"}]),
        ),
    ] {
        assert_eq!(said(body.clone()).errors(), Some(expected), "{body}");
    }
    for name in ["errmsg", "error_msg"] {
        let said = said(json!({"code": 40013, name: "invalid appid"}));
        assert_eq!(said.message.as_deref(), Some("invalid appid"));
    }
}
