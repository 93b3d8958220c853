//! What every response of the preset `api` carries.

use portcullis_harness::Response;

/// Panics where a response lacks it.
#[track_caller]
pub fn assert_hardened(response: &Response) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(
            response.header(name).as_deref(),
            Some(value),
            "{name}:\n{response}"
        );
    }
    assert!(
        response
            .header("content-security-policy")
            .is_some_and(|policy| policy.contains("sandbox")),
        "{response}"
    );
}
