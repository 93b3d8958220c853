#![no_main]
//! Whatever a request, its response, their bodies and the host's properties hold, the record is canonical JSON on one line, its seal
//! is right, and in the native form it is what the published schema says.
//!
//! The input is five parts with an empty line between: the request's lines, the response's, the request's body, the
//! response's, and properties as lines. The bodies' pieces are as long as their first byte says.

use std::collections::BTreeMap;

use audit_chain::Key;
use audit_chain::verify::verdict::Outcome;
use audit_chain::verify::{Terms, Verifier};
use audit_log::AuditLog;
use jsonschema::Validator;
use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{is_final, lines, request};
use portcullis_kit::Headers;
use portcullis_kit::plugin::Plugin;
use portcullis_kit::testing::Bench;
use serde_json::{Value, json};

type Audit = Bench<Plugin<AuditLog>>;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const FORMATS: [&str; 3] = ["native", "ocsf", "ecs"];

thread_local! {
    static SCHEMA: Validator = {
        let schema = include_str!("../../../docs/audit-record.schema.json");
        let schema: Value = serde_json::from_str(schema).expect("JSON");
        jsonschema::draft202012::new(&schema).expect("a schema")
    };
    static AUDITS: [Audit; 3] = FORMATS.map(audit);
}

fn audit(format: &str) -> Audit {
    let key = json!({"id": "k1", "secret": {"env": "KEY"}});
    let settings = json!({
        "format": format,
        "rules": [{"level": "none", "methods": ["NONE"]}, {"level": "body"}],
        "identity": [{"header": {"name": "x-key", "hash": true}}],
        "jwt": {"payload_in_metadata": "p", "subject": "hashed"},
        "path": {"templates": ["/t/{a}"]},
        "query": [{"name": "q"}, {"name": "h", "value": "hashed"}],
        "headers": {"request": [{"name": "x-a"}, {"name": "referer"}], "response": [{"name": "x-b", "value": "hashed"}]},
        "bodies": {
            "request": [{"pointer": "/a"}, {"pointer": "/l/*/b"}, {"pointer": "/m/0", "value": "hashed"}],
            "response": [{"pointer": "/a"}],
            "max_bytes": 256,
            "max_recorded_bytes": 64,
        },
        "hmac_key": key,
        "chain": {"key": key},
        // A record of each request's headers, too.
        "fail_closed": {},
    });
    let environment = BTreeMap::from([("KEY".to_owned(), KEY.to_owned())]);
    Audit::load_with(&settings, &environment).expect("valid settings")
}

/// The next part, up to an empty line.
fn part<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    *bytes = rest.get(2..).unwrap_or_default();
    part
}

fn pieces(body: &[u8]) -> Vec<&[u8]> {
    let length = body.first().map_or(1, |byte| usize::from(*byte).max(1));
    body.chunks(length).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let (ask, answer) = (lines(part(&mut rest)), lines(part(&mut rest)));
    let (asked, answered) = (part(&mut rest), part(&mut rest));
    let properties = lines(rest);
    for (at, format) in FORMATS.iter().enumerate() {
        let mut fake = request(&ask);
        for (name, value) in &properties {
            let name = String::from_utf8_lossy(name);
            fake = fake.with_property(&name, value);
        }
        let mut response = Headers::from_lines([(":status", "200")]);
        for (name, value) in &answer {
            match name.as_slice() {
                b":status" if is_final(value) => response.set(":status", value),
                b":status" => {}
                _ => response.add(name, value),
            }
        }
        AUDITS.with(|audits| {
            let audit = &audits[at];
            let mut stream = Default::default();
            audit.request_with_body(&mut fake, &mut stream, &pieces(asked));
            fake.respond(response.iter());
            audit.headers(&mut fake, &mut stream, answered.is_empty());
            let pieces = pieces(answered);
            for (at, piece) in pieces.iter().enumerate() {
                let sent = audit.body(&mut fake, &mut stream, piece, at + 1 == pieces.len());
                assert_eq!(sent, *piece, "a body changes");
            }
            audit.finish(&mut fake, &mut stream);
        });
        for (_, line) in fake.logs.take() {
            judge(format, &line);
        }
    }
});

fn judge(format: &str, line: &str) {
    assert!(!line.contains(['\n', '\r', '\0']), "{line}");
    let record: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
    assert_eq!(record.to_string(), line, "canonical");
    if format == "native" {
        SCHEMA.with(|schema| {
            let errors: Vec<String> = schema.iter_errors(&record).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}: {line}");
        });
    }
    let mut terms = Terms {
        partial: true,
        ..Terms::default()
    };
    terms.keys.add(Key::new("k1", KEY.as_bytes()).expect("long enough"));
    let mut verifier = Verifier::new(terms);
    let _ = verifier.read("fuzz", &mut line.as_bytes());
    assert!(verifier.close().outcome == Outcome::Intact, "{line}");
}
