//! The request id: which one, and how a new one is made.

use portcullis_kit::ascii::AsciiSet;
use portcullis_kit::headers::is_safe_value;

/// The header that carries it, in both directions.
pub const HEADER: &str = "x-request-id";
const MAX_LEN: usize = 128;
const LEGAL: AsciiSet = AsciiSet::of(b"._-")
    .and_range(b'0', b'9')
    .and_range(b'A', b'Z')
    .and_range(b'a', b'z');

/// Whose word is taken for the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The peer's, if it is trusted.
    Peer,
    /// The proxy's: it made the header, or decided to keep the client's.
    Proxy,
    /// Nobody's.
    Generate,
}

/// How a new id looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Uuid4,
    Uuid7,
}

/// Which id the request goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    Keep(&'a str),
    /// A new one; the header that came is not used, or there was none.
    New {
        /// Whether there was a header that breaks the rules, though its source is believed.
        invalid: bool,
    },
}

/// Decides. `line` is the header's first line, `lines` how many there are.
#[inline]
pub fn choose(source: Source, trusted: bool, line: Option<&[u8]>, lines: usize) -> Choice<'_> {
    let believed = match source {
        Source::Peer => trusted,
        Source::Proxy => true,
        Source::Generate => false,
    };
    match (believed, line) {
        (true, Some(line)) => match valid(line).filter(|_| lines == 1) {
            Some(id) => Choice::Keep(id),
            None => Choice::New { invalid: true },
        },
        _ => Choice::New { invalid: false },
    }
}

/// `[A-Za-z0-9._-]{1,128}`
#[inline]
fn valid(line: &[u8]) -> Option<&str> {
    if line.is_empty() || line.len() > MAX_LEN || !LEGAL.has_all(line) {
        return None;
    }
    debug_assert!(is_safe_value(line));
    std::str::from_utf8(line).ok()
}

/// A new id (RFC 9562 §5.4, §5.7) of random bytes; `now` in nanoseconds since the epoch.
#[inline]
pub fn new(format: Format, random: [u8; 16], now: u64) -> String {
    let random = u128::from_be_bytes(random);
    let (number, version) = match format {
        Format::Uuid4 => (random, 4),
        Format::Uuid7 => {
            let millis = u128::from(now / 1_000_000) << 80;
            (millis | (random & ((1 << 80) - 1)), 7)
        }
    };
    let number = number & !(0xf << 76) | (version << 76);
    let number = number & !(0b11 << 62) | (0b10 << 62);
    let mut id = String::with_capacity(36);
    for (at, byte) in number.to_be_bytes().into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        id.push(char::from(crate::hex::digit(byte >> 4)));
        id.push(char::from(crate::hex::digit(byte & 0xf)));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_id_is_kept_only_if_it_is_valid_one_line_and_from_a_believed_source() {
        let keep = |source, trusted| {
            choose(source, trusted, Some(b"Az09._-"), 1) == Choice::Keep("Az09._-")
        };
        assert!(keep(Source::Peer, true) && !keep(Source::Peer, false));
        assert!(keep(Source::Proxy, true) && keep(Source::Proxy, false));
        assert!(!keep(Source::Generate, true));
        for bad in [
            "",
            "a b",
            " a",
            "a,b",
            "a/b",
            "\u{e9}",
            "a\n",
            &"x".repeat(129),
        ] {
            let choice = choose(Source::Peer, true, Some(bad.as_bytes()), 1);
            assert_eq!(choice, Choice::New { invalid: true }, "{bad:?}");
        }
        let id = "x".repeat(128);
        assert_eq!(
            choose(Source::Peer, true, Some(id.as_bytes()), 1),
            Choice::Keep(&id)
        );
        assert_eq!(
            choose(Source::Peer, true, Some(b"a"), 2),
            Choice::New { invalid: true }
        );
        assert_eq!(
            choose(Source::Peer, true, None, 0),
            Choice::New { invalid: false }
        );
        assert_eq!(
            choose(Source::Peer, false, Some(b"a b"), 1),
            Choice::New { invalid: false }
        );
    }

    #[test]
    fn new_ids_are_uuids_of_their_version() {
        assert_eq!(
            new(Format::Uuid4, [0; 16], 0),
            "00000000-0000-4000-8000-000000000000"
        );
        assert_eq!(
            new(Format::Uuid4, [0xff; 16], 0),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        // 0x017F22E279B0 ms is the example of RFC 9562, appendix A.6.
        let now = 0x017f_22e2_79b0 * 1_000_000;
        assert_eq!(
            new(Format::Uuid7, [0; 16], now),
            "017f22e2-79b0-7000-8000-000000000000"
        );
        assert_eq!(
            new(Format::Uuid7, [0xff; 16], now),
            "017f22e2-79b0-7fff-bfff-ffffffffffff"
        );
    }
}
