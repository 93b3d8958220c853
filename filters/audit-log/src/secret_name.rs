//! Names of headers and parameters whose values are credentials: nothing of these is ever recorded, whatever is listed.

/// Whole names, without `-`, `_` and `.`.
const WHOLE: [&str; 24] = [
    "auth",
    "code",
    "cvc",
    "cvv",
    "dsn",
    "hmac",
    "jwt",
    "key",
    "otp",
    "pass",
    "pat",
    "pin",
    "pw",
    "pwd",
    "sas",
    "session",
    "sid",
    "sig",
    "ssn",
    "state",
    "ticket",
    "totp",
    "nonce",
    "assertion",
];
/// What a secret's name contains.
const WITHIN: [&str; 20] = [
    "apikey",
    "authorization",
    "bearer",
    "accesskey",
    "clientcert",
    "cookie",
    "credential",
    "csrf",
    "xsrf",
    "passphrase",
    "password",
    "passwd",
    "privatekey",
    "secret",
    "sessid",
    "sessionid",
    "sharedkey",
    "signature",
    "token",
    "authenticat",
];

/// Whether values under this name are credentials.
pub fn is_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let bare = plain.strip_prefix('x').unwrap_or(&plain);
    WHOLE.contains(&plain.as_str())
        || WHOLE.contains(&bare)
        || WITHIN.iter().any(|part| plain.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_of_credentials_are_known_and_others_are_not() {
        for secret in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "set-cookie",
            "x-api-key",
            "X-APIKey",
            "x-auth-token",
            "x-amz-security-token",
            "x-csrf-token",
            "www-authenticate",
            "x-forwarded-client-cert",
            "access_token",
            "client_secret",
            "code",
            "sig",
            "x-auth",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in [
            "content-type",
            "accept",
            "x-tenant",
            "page",
            "status-code",
            "origin",
            "keyword",
        ] {
            assert!(!is_secret(plain), "{plain}");
        }
    }
}
