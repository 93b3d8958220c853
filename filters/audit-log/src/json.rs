//! JSON in the canonical form of RFC 8785 (JCS), written straight into a buffer.
//!
//! Whoever writes an object gives its members in the order of their names. Numbers are whole and below 2^53, so their
//! decimal digits are their canonical form.

/// Appends a string. Bytes that are no UTF-8 are written as `\xNN`, behind a backslash of their own: a record is always
/// Unicode, and shows what was not.
#[inline]
pub fn text(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'"' && *byte != b'\\';
    if value.iter().all(plain) {
        out.extend_from_slice(value);
    } else {
        escaped(out, value);
    }
    out.push(b'"');
}

#[inline(never)]
fn escaped(out: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                0x8 => out.extend_from_slice(b"\\b"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\n' => out.extend_from_slice(b"\\n"),
                0xc => out.extend_from_slice(b"\\f"),
                b'\r' => out.extend_from_slice(b"\\r"),
                0..=0x1f => {
                    out.extend_from_slice(b"\\u00");
                    hex_byte(out, byte);
                }
                other => out.push(other),
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(b"\\\\x");
            hex_byte(out, *byte);
        }
    }
}

/// Appends a record as a JSON string: what is in it is JSON already, so that nothing but quotes and backslashes has to be
/// escaped. Byte by byte, because there is a quote every few bytes and each call that copies costs more than they do.
#[inline]
pub fn quoted(out: &mut Vec<u8>, json: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + 2 * json.len(), 0);
    let mut length = 0;
    if let Some(room) = out.get_mut(start..) {
        for byte in json {
            if let Some(slot) = room.get_mut(length) {
                *slot = b'\\';
            }
            length += usize::from(matches!(byte, b'"' | b'\\'));
            if let Some(slot) = room.get_mut(length) {
                *slot = *byte;
            }
            length += 1;
        }
    }
    out.truncate(start + length);
    out.push(b'"');
}

#[inline]
fn hex_byte(out: &mut Vec<u8>, byte: u8) {
    for nibble in [byte >> 4, byte & 15] {
        out.push(nibble + if nibble < 10 { b'0' } else { b'a' - 10 });
    }
}

/// Bytes as lower-case hex digits.
#[inline]
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        hex_byte(out, *byte);
    }
}

/// The most that is exact in every reader's JSON numbers.
const MAX_NUMBER: u64 = (1 << 53) - 1;

#[inline]
pub fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(value.min(MAX_NUMBER)).as_bytes());
}

/// An object that is being written.
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    #[inline]
    pub fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Appends a member's name; its value is the caller's.
    #[inline]
    pub fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    #[inline]
    pub fn text(&mut self, name: &str, value: &[u8]) {
        text(self.member(name), value);
    }

    #[inline]
    pub fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    #[inline]
    pub fn number(&mut self, name: &str, value: u64) {
        number(self.member(name), value);
    }

    /// Writes an object as a member.
    #[inline]
    pub fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        let mut inner = Object::open(self.member(name));
        write(&mut inner);
        inner.close();
    }

    /// Writes a list of strings as a member.
    #[inline]
    pub fn texts<'t>(&mut self, name: &str, values: impl IntoIterator<Item = &'t [u8]>) {
        let out = self.member(name);
        out.push(b'[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            text(out, value);
        }
        out.push(b']');
    }

    /// How much is written: where a member of the next name would begin.
    #[inline]
    pub fn place(&self) -> usize {
        self.out.len()
    }

    #[inline]
    pub fn close(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn written(value: &[u8]) -> String {
        let mut out = Vec::new();
        text(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_is_written_as_rfc_8785_asks() {
        let all: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        assert_eq!(
            written(all.as_bytes()),
            serde_json::to_string(&all).unwrap()
        );
        assert_eq!(written(b"plain text"), "\"plain text\"");
    }

    #[test]
    fn what_is_no_utf_8_is_shown_as_its_bytes() {
        assert_eq!(written(b"a\xff\x80b\xc3"), r#""a\\xff\\x80b\\xc3""#);
        assert_eq!(written("é\u{0}".as_bytes()), "\"é\\u0000\"");
    }

    #[test]
    fn json_within_a_string_reads_as_what_it_was() {
        let json = br#"{"a":"x\\\"y\\u0001","\u00e9":["",{}]}"#;
        let mut out = b"-".to_vec();
        quoted(&mut out, json);
        let read: String = serde_json::from_slice(&out[1..]).unwrap();
        assert_eq!(read.as_bytes(), json);
        assert!(out.len() < 2 * json.len());
    }

    #[test]
    fn a_number_is_never_one_that_readers_round() {
        let mut out = Vec::new();
        number(&mut out, u64::MAX);
        assert_eq!(out, b"9007199254740991");
    }
}
