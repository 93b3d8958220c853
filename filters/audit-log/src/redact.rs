//! Values that are recorded as hashes, and values that are cut.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::json::hex;

/// Stands before what is hashed, so that no hash of it is one of something else.
const DOMAIN: &[u8] = b"portcullis/audit-log/v1\0";

/// The least that a key may have: what the hash puts out (RFC 2104 section 3).
pub const MIN_KEY_BYTES: usize = 32;

/// A key of hashed values and its name. Prints its name only.
#[derive(Clone)]
pub struct Key {
    id: String,
    /// The key's first block is hashed already.
    mac: Hmac<Sha256>,
}

impl Key {
    /// `None` if the secret is too short.
    #[inline(never)]
    pub fn new(id: &str, secret: &[u8]) -> Option<Self> {
        if secret.len() < MIN_KEY_BYTES {
            return None;
        }
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret).ok()?;
        mac.update(DOMAIN);
        Some(Self {
            id: id.to_owned(),
            mac,
        })
    }

    /// `hmac-sha256:<key id>:<hex>`. `field` names what the value is of, so that equal values of two fields have two hashes.
    #[inline]
    pub fn hash(&self, field: &str, value: &[u8]) -> Vec<u8> {
        let mut mac = self.mac.clone();
        mac.update(field.as_bytes());
        // No field's name has this byte.
        mac.update(b"\0");
        mac.update(value);
        let mut text = Vec::with_capacity(12 + self.id.len() + 1 + 64);
        text.extend_from_slice(b"hmac-sha256:");
        text.extend_from_slice(self.id.as_bytes());
        text.push(b':');
        hex(&mut text, &mac.finalize().into_bytes());
        text
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// Signs the bodies of requests.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>, [u8; 32]);

/// Two are the same if they sign alike.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

impl Signer {
    /// `None` if the secret is too short.
    #[inline(never)]
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < MIN_KEY_BYTES {
            return None;
        }
        let mac: Hmac<Sha256> = Hmac::new_from_slice(secret).ok()?;
        let mark = mac.clone().finalize().into_bytes().into();
        Some(Self(mac, mark))
    }

    /// `sha256=<hex>`
    #[inline(never)]
    pub fn sign(&self, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(body);
        let mut text = b"sha256=".to_vec();
        hex(&mut text, &mac.finalize().into_bytes());
        String::from_utf8(text).unwrap_or_default()
    }
}

/// At most so many bytes of a value, and never half a character.
#[inline]
pub fn cut(value: &[u8], max: usize) -> &[u8] {
    let Some(short) = value.get(..max) else {
        return value;
    };
    // A continuation byte behind the cut means that a character began before it.
    if value.get(max).is_none_or(|next| next & 0xc0 != 0x80) {
        return short;
    }
    let start = short.iter().rposition(|byte| byte & 0xc0 != 0x80);
    match start {
        // Longer than a character can be: no UTF-8 anyway.
        Some(start) if max - start < 4 => short.get(..start).unwrap_or_default(),
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_hash_names_its_key_and_differs_by_key_field_and_value() {
        let key = Key::new("k1", &[7; 32]).unwrap();
        let hash = |key: &Key, field, value: &str| {
            String::from_utf8(key.hash(field, value.as_bytes())).unwrap()
        };
        let own = hash(&key, "actor.id", "alice");
        // printf 'portcullis/audit-log/v1\0actor.id\0alice' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
        assert_eq!(own, OPENSSL);
        let others = [
            hash(&Key::new("k1", &[8; 32]).unwrap(), "actor.id", "alice"),
            hash(&key, "actor.subject", "alice"),
            hash(&key, "actor.id", "bob"),
            hash(&key, "actor.i", "dalice"),
        ];
        assert!(others.iter().all(|other| *other != own), "{others:?}");
        assert!(Key::new("k1", &[7; 31]).is_none());
        assert_eq!(format!("{key:?}"), "Key(k1)");
    }

    const OPENSSL: &str =
        "hmac-sha256:k1:f617bdbae277a2887861d5744ff0cc99800015c7d22ce379d168dc87e5a4f19d";

    #[test]
    fn a_cut_never_leaves_half_a_character() {
        for (value, max, expected) in [
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("aé", 2, "a"),
            ("aéb", 3, "aé"),
            ("a€b", 3, "a"),
            ("a€b", 4, "a€"),
            ("a😀", 4, "a"),
            ("", 0, ""),
        ] {
            assert_eq!(
                cut(value.as_bytes(), max),
                expected.as_bytes(),
                "{value} {max}"
            );
        }
        assert_eq!(cut(&[0x80; 9], 5), [0x80; 5]);
    }
}
