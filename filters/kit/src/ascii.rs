//! Sets of ASCII characters: what a name, a key or an id may be made of.

/// A set of ASCII characters, built at compile time. Asking it takes a shift where a chain of ranges takes a branch each,
/// and these questions are put for every byte of several headers of each request.
#[derive(Clone, Copy, Debug)]
pub struct AsciiSet {
    /// Characters 0 to 63.
    low: u64,
    /// Characters 64 to 127.
    high: u64,
}

impl AsciiSet {
    /// The characters given; what is not ASCII is left out.
    pub const fn of(mut characters: &[u8]) -> Self {
        let mut set = Self { low: 0, high: 0 };
        while let [first, rest @ ..] = characters {
            set = set.and_range(*first, *first);
            characters = rest;
        }
        set
    }

    /// These characters and those from one to another, both included.
    pub const fn and_range(mut self, from: u8, to: u8) -> Self {
        let mut at = from;
        while at <= to && at < 128 {
            let bit = 1 << (at & 63);
            if at < 64 {
                self.low |= bit;
            } else {
                self.high |= bit;
            }
            at += 1;
        }
        self
    }

    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        let half = if byte < 64 { self.low } else { self.high };
        byte.is_ascii() && half >> (byte & 63) & 1 == 1
    }

    /// Whether the text is made of these characters only.
    #[inline]
    pub fn has_all(&self, text: &[u8]) -> bool {
        text.iter().all(|byte| self.has(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_given_and_nothing_else() {
        let set = AsciiSet::of(b"-@\x7f\xff")
            .and_range(b'0', b'9')
            .and_range(b'x', 0xff);
        for byte in 0..=u8::MAX {
            let given = matches!(byte, b'-' | b'@' | b'0'..=b'9' | b'x'..=0x7f);
            assert_eq!(set.has(byte), given, "{byte}");
        }
        assert!(set.has_all(b"0-9@x") && set.has_all(b"") && !set.has_all(b"0-9@w"));
    }
}
