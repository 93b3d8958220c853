//! HTTP Strict Transport Security (RFC 6797).

/// What the preload list demands (hstspreload.org): at least a year, subdomains included.
pub const PRELOAD_MIN_MAX_AGE: u32 = 31_536_000;
/// Two years, in seconds.
pub const DEFAULT_MAX_AGE: u32 = 63_072_000;

/// The header's value.
pub fn value(max_age: u32, include_subdomains: bool, preload: bool) -> String {
    let mut value = format!("max-age={max_age}");
    if include_subdomains {
        value.push_str("; includeSubDomains");
    }
    if preload {
        value.push_str("; preload");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_value_reads_as_rfc_6797_shows_it() {
        assert_eq!(
            value(DEFAULT_MAX_AGE, true, false),
            "max-age=63072000; includeSubDomains"
        );
        assert_eq!(
            value(31_536_000, true, true),
            "max-age=31536000; includeSubDomains; preload"
        );
        assert_eq!(value(0, false, false), "max-age=0");
    }
}
