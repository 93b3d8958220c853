//! What holds for every response: no policy of an upstream is weakened, doing it twice changes nothing, nothing unsafe is written.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{json, load, over_tls};
use portcullis_kit::Headers;
use portcullis_kit::testing::Fake;
use proptest::prelude::*;

fn upstream_headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        Just("content-security-policy"),
        Just("Content-Security-Policy"),
        Just("cache-control"),
        Just("set-cookie"),
        Just("vary"),
        Just("access-control-allow-origin"),
        Just("access-control-allow-credentials"),
        Just("server"),
        Just("strict-transport-security"),
        Just("x-frame-options"),
        Just("x-other"),
        Just("cross-origin-opener-policy"),
        Just("x-content-type-options"),
        Just("clear-site-data"),
    ];
    let value = prop_oneof![
        "[ -~]{0,12}".prop_map(String::into_bytes),
        Just(b"default-src 'self'".to_vec()),
        Just(b"nosniff".to_vec()),
        Just(b"Origin".to_vec()),
        Just(b"https://a.example".to_vec()),
        Just(b"*".to_vec()),
        Just(b"a=1; Path=/".to_vec()),
        Just(b"\"cache\"".to_vec()),
        proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80..=0xff_u8], 0..20),
    ];
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..12)
}

fn settings() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!({"preset": "web"})),
        Just(json!({"preset": "web-nonce"})),
        Just(json!({"csp": {"merge": "img-src 'none'"}, "cors": {"allowed_origins": []}})),
        Just(json!({"report_only": {"endpoint": "/r"}})),
        Just(json!({"clear_site_data": ["cache"]})),
        Just(
            json!({"headers": {"x-other": {"append": "a"}, "vary": {"append": "X-T"}, "x-frame-options": {"set": "DENY"}}})
        ),
    ]
}

proptest! {
    #[test]
    fn an_upstream_policy_is_never_weakened(settings in settings(), upstream in upstream_headers()) {
        let lines: Vec<_> = [(":status", &b"200"[..])].into_iter()
            .chain(upstream.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).collect();
        let got = load(settings).exchange(Fake::get("/"), &lines);
        let mut left: Vec<_> = got.response.get_all("content-security-policy").map(<[u8]>::to_vec).collect();
        for (_, policy) in upstream.iter().filter(|(name, value)| {
            name.eq_ignore_ascii_case("content-security-policy") && !value.trim_ascii().is_empty()
        }) {
            let at = left.iter().position(|line| line == policy);
            prop_assert!(at.is_some(), "{policy:?} is gone");
            left.remove(at.unwrap());
        }
    }

    #[test]
    fn doing_it_twice_changes_nothing_more(settings in settings(), upstream in upstream_headers(), tls: bool) {
        // A nonce is new every time.
        prop_assume!(settings.get("preset") != Some(&json!("web-nonce")));
        let loaded = load(settings.clone());
        let request = || if tls { over_tls() } else { Fake::get("/") };
        let lines: Vec<_> = [(":status", &b"200"[..])].into_iter()
            .chain(upstream.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).collect();
        let once = loaded.exchange(request(), &lines);
        let lines: Vec<_> = once.response.iter()
            .map(|(name, value)| (std::str::from_utf8(name).unwrap().to_owned(), value.to_vec())).collect();
        let again: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let twice = loaded.exchange(request(), &again);
        let sorted = |headers: &Headers| {
            let mut lines: Vec<_> = headers.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            lines.sort();
            // Reports name their endpoint once more; a dictionary's later member wins.
            lines.retain(|(name, _)| !name.ends_with(b"-report-only") && name != b"reporting-endpoints");
            lines
        };
        prop_assert_eq!(sorted(&once.response), sorted(&twice.response));
    }

    #[test]
    fn nothing_unsafe_is_ever_written_and_what_is_not_ours_stays(
        settings in settings(), upstream in upstream_headers()
    ) {
        let lines: Vec<_> = [(":status", &b"200"[..])].into_iter()
            .chain(upstream.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).collect();
        let got = load(settings.clone()).exchange(Fake::get("/"), &lines);
        for (name, value) in got.response.iter() {
            prop_assert!(!value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)), "{name:?}");
        }
        if settings.get("headers").is_none() {
            let theirs: Vec<_> = upstream.iter().filter(|(n, _)| n == "x-other").map(|(_, v)| v.as_slice()).collect();
            prop_assert_eq!(got.response.get_all("x-other").collect::<Vec<_>>(), theirs);
        }
    }
}
