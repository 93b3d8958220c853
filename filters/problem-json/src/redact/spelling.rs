//! A text without its spellings: percent-encoding, entities of HTML, escapes of JSON.
//!
//! Each character goes to the end of what is read so far. Where that completes a spelling, the character that is meant
//! takes its place, and may complete the next one: so spellings of spellings are read too, and no character is looked at
//! more often than a spelling is long.

/// No spelling is longer.
const MAX_BYTES: usize = 16;

/// The characters that each spelling begins with.
pub const SIGNS: &[u8] = b"%&\\";

/// Entities by name, of characters that addresses, paths and statements are made of.
const ENTITIES: [(&str, u8); 20] = [
    ("amp", b'&'),
    ("apos", b'\''),
    ("ast", b'*'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("comma", b','),
    ("commat", b'@'),
    ("dollar", b'$'),
    ("equals", b'='),
    ("gt", b'>'),
    ("lowbar", b'_'),
    ("lpar", b'('),
    ("lt", b'<'),
    ("nbsp", b' '),
    ("num", b'#'),
    ("percnt", b'%'),
    ("period", b'.'),
    ("quest", b'?'),
    ("quot", b'"'),
    ("sol", b'/'),
];

/// A text as it is meant, and where each of its bytes begins in the text as it is written.
pub struct Meant {
    pub text: String,
    origins: Vec<usize>,
    /// The length of the text as it is written.
    written: usize,
}

impl Meant {
    /// `None` where it is written as it is meant.
    pub fn of(text: &str) -> Option<Self> {
        let mut reader = Reader {
            bytes: Vec::with_capacity(text.len()),
            marks: Vec::with_capacity(text.len()),
        };
        for (at, byte) in text.bytes().enumerate() {
            reader.read(byte, at);
        }
        if reader.bytes.len() == text.len() {
            return None;
        }
        reader.drop_levels();
        let origins = reader.marks.iter().map(|mark| mark.origin).collect();
        Some(Self {
            text: whole(reader.bytes),
            origins,
            written: text.len(),
        })
    }

    /// Where a piece of it stands in the text as it is written.
    pub fn place(&self, from: usize, to: usize) -> (usize, usize) {
        let origin = |at: usize| self.origins.get(at).copied().unwrap_or(self.written);
        (origin(from), origin(to))
    }
}

struct Reader {
    bytes: Vec<u8>,
    /// One for each byte.
    marks: Vec<Mark>,
}

#[derive(Clone, Copy, Default)]
struct Mark {
    origin: usize,
    /// A backslash led to it.
    escaped: bool,
}

impl Reader {
    fn read(&mut self, byte: u8, origin: usize) {
        self.bytes.push(byte);
        let escaped = false;
        self.marks.push(Mark { origin, escaped });
        while let Some((length, meant)) = spelled(&self.bytes) {
            let from = self.bytes.len() - length;
            let origin = self.marks.get(from).map_or(origin, |mark| mark.origin);
            let escaped = self.bytes.get(from) == Some(&b'\\');
            self.bytes.truncate(from);
            self.marks.truncate(from);
            match meant {
                Character::Byte(byte) => self.bytes.push(byte),
                Character::Wide(wide) => {
                    self.bytes
                        .extend_from_slice(wide.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            self.marks
                .resize(self.bytes.len(), Mark { origin, escaped });
        }
    }

    /// JSON within JSON has more backslashes at each level: those before a character that one led to go.
    fn drop_levels(&mut self) {
        let mut next = false;
        let mut kept: Vec<(u8, Mark)> = Vec::with_capacity(self.bytes.len());
        for (byte, mark) in self.bytes.iter().zip(&self.marks).rev() {
            let level = *byte == b'\\' && next;
            next = level || mark.escaped;
            if !level {
                kept.push((*byte, *mark));
            }
        }
        (self.bytes, self.marks) = kept.into_iter().rev().unzip();
    }
}

enum Character {
    Byte(u8),
    Wide(char),
}

impl Character {
    fn of(code: u32) -> Option<Self> {
        char::from_u32(code).map(|wide| {
            u8::try_from(code)
                .ok()
                .filter(u8::is_ascii)
                .map_or(Self::Wide(wide), Self::Byte)
        })
    }
}

/// The spelling that ends here: its length, and what it means.
fn spelled(bytes: &[u8]) -> Option<(usize, Character)> {
    let tail = bytes.get(bytes.len().saturating_sub(MAX_BYTES)..)?;
    match tail {
        [.., b'\\', meant @ (b'/' | b'"')] => Some((2, Character::Byte(*meant))),
        [.., b'%', high, low] | [.., b'\\', b'x', high, low] if low.is_ascii_hexdigit() => {
            let length = if tail.ends_with(&[b'%', *high, *low]) {
                3
            } else {
                4
            };
            let code = number(&[*high, *low], 16)?;
            Some((length, Character::Byte(u8::try_from(code).ok()?)))
        }
        [.., b'\\' | b'%', b'u', a, b, c, d] if d.is_ascii_hexdigit() => {
            Some((6, Character::of(number(&[*a, *b, *c, *d], 16)?)?))
        }
        [.., b';'] => {
            let start = tail.iter().rposition(|byte| *byte == b'&')?;
            let name = tail.get(start + 1..tail.len() - 1)?;
            Some((tail.len() - start, entity(name)?))
        }
        _ => None,
    }
}

fn entity(name: &[u8]) -> Option<Character> {
    match name {
        [b'#', b'x' | b'X', digits @ ..] => Character::of(number(digits, 16)?),
        [b'#', digits @ ..] => Character::of(number(digits, 10)?),
        _ => {
            let named = ENTITIES.iter().find(|(known, _)| known.as_bytes() == name);
            named.map(|(_, meant)| Character::Byte(*meant))
        }
    }
}

/// Digits alone: no sign.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let are_digits = digits.iter().all(u8::is_ascii_alphanumeric);
    u32::from_str_radix(text, radix).ok().filter(|_| are_digits)
}

/// As text of the same length: bytes that are no UTF-8 become question marks.
fn whole(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::with_capacity(error.as_bytes().len());
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '?'));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn each_spelling_is_read_and_spellings_of_spellings_too() {
        for (written, meant) in [
            ("a%40b", "a@b"),
            ("a%2540b", "a@b"),
            ("a%25252540b", "a@b"),
            ("a%%34%30b", "a@b"),
            ("a&#64;b", "a@b"),
            ("a&#x40;b", "a@b"),
            ("a&#0064;b", "a@b"),
            ("a&amp;commat;b", "a@b"),
            ("a&#37;40b", "a@b"),
            ("a%26%2364%3Bb", "a@b"),
            ("a\\u0040b", "a@b"),
            ("a\\\\\\u0040b", "a@b"),
            ("a%u0040b", "a@b"),
            ("a\\x40b", "a@b"),
            ("\\/etc\\/x", "/etc/x"),
            ("%C3%A9\\u00e9&#233;", "ééé"),
            ("%FFa", "?a"),
        ] {
            let read = Meant::of(written).map(|read| read.text);
            assert_eq!(read.as_deref(), Some(meant), "{written}");
        }
        for plain in [
            "",
            "50 % of 4",
            "a & b; c",
            "%zz",
            "%+1",
            "&#+64;",
            "&#xD800;",
            "&foo;",
            "\\n",
            "é%",
        ] {
            assert!(Meant::of(plain).is_none(), "{plain}");
        }
    }

    #[test]
    fn a_piece_stands_where_it_is_written() {
        let read = Meant::of("x a%2540b é").unwrap();
        assert_eq!(read.text, "x a@b é");
        assert_eq!(read.place(2, 5), (2, 9));
        assert_eq!(read.place(3, 4), (3, 8));
        assert_eq!(read.place(0, read.text.len()), (0, 12));
    }
}
