//! Any headers of a request and of its response through the whole chain: the promises that hold for every exchange.
//!
//! The input is the request's lines, an empty line, the response's lines.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::Portcullis;
use portcullis_fuzz::{exchange, is_sound, lines, request};
use portcullis_kit::testing::Bench;
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (ask, answer) = bytes.split_at(end.unwrap_or(bytes.len()));
    let (ask, answer) = (lines(ask), lines(answer));
    let settings = json!({
        "request_tracing": {"trust": "internal", "response_time": true, "server_timing": {"trace": "all", "app": "all"}},
        "security_headers": {
            "preset": "web-nonce",
            "csrf": {"mode": "enforce", "trusted_origins": ["https://app.example.com"]},
            "cors": {"allowed_origins": ["https://app.example.com"]},
            "headers": {"x-content-type-options": {"set": "nosniff"}},
        },
    });
    let bench = Bench::<Portcullis>::load(&settings).expect("valid settings");
    let given = request(&ask).with_property("connection.tls_version", "TLSv1.3");
    let done = exchange(&bench, given, &answer);

    let from_peers = |value: &[u8]| ask.iter().chain(&answer).any(|(_, given)| given == value);
    for (name, value) in done.request.iter().chain(done.response.iter()) {
        let name = name.escape_ascii();
        assert!(
            is_sound(value) || from_peers(value),
            "{name}: {}",
            value.escape_ascii()
        );
    }
    let of =
        |name: &str| -> Vec<Vec<u8>> { done.response.get_all(name).map(<[u8]>::to_vec).collect() };
    assert_eq!(of("x-content-type-options"), [b"nosniff"]);
    let ids = of("x-request-id");
    assert_eq!(ids.len(), 1, "one request id");
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    assert!((1..=128).contains(&ids[0].len()) && ids[0].iter().all(legal));
    let cookies = |lines: &[(Vec<u8>, Vec<u8>)]| {
        lines
            .iter()
            .filter(|(name, _)| name == b"set-cookie")
            .count()
    };
    if done.replies.is_empty() {
        assert_eq!(
            of("set-cookie").len(),
            cookies(&answer),
            "each cookie stays its own line"
        );
    }
    let client_nonce = ask.iter().find(|(name, _)| name == b"x-csp-nonce");
    if let (Some((_, nonce)), true) = (client_nonce, done.replies.is_empty()) {
        let sent: Vec<&[u8]> = done.request.get_all("x-csp-nonce").collect();
        assert!(
            sent.len() == 1 && sent[0] != nonce.as_slice(),
            "a client's nonce passed"
        );
    }
});
