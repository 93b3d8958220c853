//! What the scanners share: a text by its bytes, sets of characters, and the pieces found.

use portcullis_kit::ascii::AsciiSet;

pub const DIGITS: AsciiSet = AsciiSet::of(b"").and_range(b'0', b'9');
pub const ALPHANUMERIC: AsciiSet = DIGITS.and_range(b'a', b'z').and_range(b'A', b'Z');
/// Letters, digits, `_`, `-`: base64url, most keys, most names.
pub const WORD: AsciiSet = AsciiSet::of(b"_-")
    .and_range(b'0', b'9')
    .and_range(b'a', b'z')
    .and_range(b'A', b'Z');
/// A word with dots within.
pub const DOTTED: AsciiSet = AsciiSet::of(b"_-.")
    .and_range(b'0', b'9')
    .and_range(b'a', b'z')
    .and_range(b'A', b'Z');

/// A text and which ASCII characters are in it.
pub struct Text<'a> {
    pub bytes: &'a [u8],
    held: u128,
    name: bool,
    /// How many bytes were read since, which tests bound.
    #[cfg(test)]
    pub work: std::cell::Cell<usize>,
}

impl<'a> Text<'a> {
    /// `name` says that it is no sentence but a code or a field's name, of which no part can be left out.
    pub fn new(text: &'a str, name: bool) -> Self {
        Self::of(text.as_bytes(), name)
    }

    pub fn of(bytes: &'a [u8], name: bool) -> Self {
        let held = bytes.iter().fold(0, |held, byte| {
            if byte.is_ascii() {
                held | 1u128 << byte
            } else {
                held
            }
        });
        Self {
            bytes,
            held,
            name,
            #[cfg(test)]
            work: std::cell::Cell::default(),
        }
    }

    /// How many bytes were read, as far as that is counted.
    pub fn work(&self) -> usize {
        #[cfg(test)]
        return self.work.get();
        #[cfg(not(test))]
        0
    }

    #[cfg(test)]
    pub fn count(&self, bytes: usize) {
        self.work.set(self.work.get() + bytes);
    }

    #[cfg(not(test))]
    #[inline]
    pub fn count(&self, _bytes: usize) {}

    pub fn is_name(&self) -> bool {
        self.name
    }

    pub fn holds_one_of(&self, characters: &[u8]) -> bool {
        characters
            .iter()
            .any(|byte| self.held >> (byte & 127) & 1 == 1)
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The byte there, 0 beyond the end.
    pub fn at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The byte before, 0 at the beginning.
    pub fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.at(at))
    }

    pub fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        let slice = self.bytes.get(from..to).unwrap_or_default();
        self.count(slice.len());
        slice
    }

    /// Where the characters of the set end that begin here.
    pub fn run(&self, from: usize, set: &AsciiSet) -> usize {
        self.run_fast(from, |byte| set.has(byte))
    }

    #[inline(never)]
    pub fn run_while(&self, from: usize, fits: &dyn Fn(u8) -> bool) -> usize {
        self.run_fast(from, fits)
    }

    /// The same, compiled for what looks at each byte of a text.
    pub fn run_fast(&self, from: usize, fits: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let length = rest.iter().position(|byte| !fits(*byte));
        let length = length.unwrap_or(rest.len());
        self.count(length);
        from + length
    }

    /// Where the characters begin that end here, from no further back than `first`.
    #[inline(never)]
    pub fn run_back(&self, first: usize, to: usize, fits: &dyn Fn(u8) -> bool) -> usize {
        let head = self.bytes.get(first..to).unwrap_or_default();
        let length = head.iter().rev().position(|byte| !fits(*byte));
        let length = length.unwrap_or(head.len());
        self.count(length);
        to - length
    }

    /// Whether these characters stand here, in any case; `needle` is in lower case.
    pub fn is_at(&self, at: usize, needle: &str) -> bool {
        self.slice(at, at + needle.len())
            .eq_ignore_ascii_case(needle.as_bytes())
    }

    /// Where these characters next stand, in any case; `needle` is in lower case.
    pub fn find(&self, from: usize, needle: &str) -> Option<usize> {
        self.find_within(from, self.len(), needle)
    }

    /// The same, where all of them stand before `to`.
    pub fn find_within(&self, from: usize, to: usize, needle: &str) -> Option<usize> {
        let first = *needle.as_bytes().first()?;
        let last = to.min(self.len()).checked_sub(needle.len())?;
        let rest = self.bytes.get(from..=last)?;
        let upper = first.to_ascii_uppercase();
        let found = (from..)
            .zip(rest)
            .filter(|(_, byte)| **byte == first || **byte == upper)
            .map(|(at, _)| at)
            .find(|at| self.is_at(*at, needle));
        self.count(found.map_or(rest.len(), |at| at - from));
        found
    }

    /// Wherever one of these begins, in any case, that does not begin within a word; in one walk over the text. `name` gives
    /// what to look for, in lower case; they stand in the order of the first character.
    pub fn starts<'n, T>(
        &self,
        needles: &'n [T],
        name: fn(&T) -> &str,
    ) -> impl Iterator<Item = (usize, &'n T)> {
        let first = move |needle: &T| name(needle).as_bytes().first().copied().unwrap_or(0);
        let firsts = needles
            .iter()
            .fold(0u128, |firsts, needle| firsts | 1 << (first(needle) & 127));
        let begins = move |at: usize, byte: u8| {
            byte.is_ascii()
                && firsts >> byte.to_ascii_lowercase() & 1 == 1
                && !(ALPHANUMERIC.has(byte) && ALPHANUMERIC.has(self.before(at)))
        };
        let places = self.bytes.iter().enumerate();
        places
            .filter(move |(at, byte)| begins(*at, **byte))
            .flat_map(move |(at, byte)| {
                let byte = byte.to_ascii_lowercase();
                let from = needles.partition_point(|needle| first(needle) < byte);
                let rest = needles.get(from..).unwrap_or_default().iter();
                rest.take_while(move |needle| first(needle) == byte)
                    .filter(move |needle| self.is_at(at, name(needle)))
                    .map(move |needle| (at, needle))
            })
    }

    /// Every run of the characters of the set.
    pub fn runs(&self, set: AsciiSet) -> impl Iterator<Item = (usize, usize)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let from = self.run_fast(at, |byte| !set.has(byte));
            let to = self.run(from, &set);
            at = to;
            (from < to).then_some((from, to))
        })
    }

    /// Where the spaces end that begin here.
    #[inline(never)]
    pub fn spaces(&self, from: usize) -> usize {
        self.run_while(from, &|byte| byte == b' ')
    }

    /// The same, of tabs too.
    #[inline(never)]
    pub fn blanks(&self, from: usize) -> usize {
        self.run_while(from, &|byte| matches!(byte, b' ' | b'\t'))
    }

    #[inline(never)]
    pub fn letters(&self, from: usize) -> usize {
        self.run_while(from, &|byte| byte.is_ascii_alphabetic())
    }

    /// Where a word ends without the dots that end its sentence.
    #[inline(never)]
    pub fn undotted(&self, from: usize, to: usize) -> usize {
        self.run_back(from, to, &|byte| byte == b'.')
    }

    /// The same, without dashes too.
    #[inline(never)]
    pub fn trimmed(&self, from: usize, to: usize) -> usize {
        self.run_back(from, to, &|byte| matches!(byte, b'.' | b'-'))
    }

    pub fn line_end(&self, from: usize) -> usize {
        self.run_while(from, &|byte| !matches!(byte, b'\n' | b'\r'))
    }

    /// Where an empty line follows, or the text ends.
    pub fn paragraph_end(&self, from: usize) -> usize {
        let mut at = from;
        loop {
            let end = self.run_while(at, &|byte| byte != b'\n');
            at = self.run_while(end + 1, &|byte| matches!(byte, b' ' | b'\t' | b'\r'));
            if end >= self.len() || self.at(at) == b'\n' {
                return end.min(self.len());
            }
        }
    }

    /// Where the line ends, and no further than `to`.
    pub fn line_end_within(&self, from: usize, to: usize) -> usize {
        let line = self.slice(from, to.min(self.len()));
        let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        from + end.unwrap_or(line.len())
    }

    /// Where a word ends that may hold anything but white space and quotes.
    pub fn token_end(&self, from: usize) -> usize {
        let end = self.run_while(from, &|byte| !is_token_end(byte));
        self.run_back(from, end, &|byte| b".,;:!?)]}>".contains(&byte))
    }
}

/// Whether a word is among those of a list, which spaces keep apart.
#[inline(never)]
pub fn is_among(list: &str, word: &[u8]) -> bool {
    !word.is_empty()
        && list
            .as_bytes()
            .split(|byte| *byte == b' ')
            .any(|known| known == word)
}

/// The same, in any case.
#[inline(never)]
pub fn is_among_in_any_case(list: &str, word: &[u8]) -> bool {
    let lower: Vec<u8> = word.to_ascii_lowercase();
    is_among(list, &lower)
}

/// How far behind the beginning of a message its second half stands at most.
const MESSAGE_WINDOW: usize = 200;

/// Messages by how they begin and what follows in the same line, where they `may_begin` (there, and with what is behind the
/// beginning), as far as they go by `end`. In the order of the first character.
pub fn messages<'t>(
    text: &Text<'t>,
    table: &[(&str, &str)],
    may_begin: &dyn Fn(usize, usize) -> bool,
    end: fn(&Text<'t>, usize) -> usize,
    spans: &mut Spans,
) {
    let mut done = 0;
    for (from, (begin, rest)) in text.starts(table, |message| message.0) {
        let at = from + begin.len();
        if from < done || !may_begin(from, at) {
            continue;
        }
        // What looks for nothing has not to know where the line ends.
        let follows = || {
            let end = text.line_end_within(at, at + MESSAGE_WINDOW);
            text.find_within(at, end, rest).is_some()
        };
        if rest.is_empty() || follows() {
            done = end(text, from);
            spans.add(from, done);
        }
    }
}

/// What is said of fields, behind their names.
const OF_FIELDS: [&str; 6] = [
    " is required",
    " must ",
    " cannot be empty",
    " cannot be blank",
    " cannot be set",
    " is not a boolean",
];

/// Whether a dotted name of plain words, which begins a text or stands in quotes, is a field's by what is said of it.
pub fn is_field(text: &Text<'_>, from: usize, to: usize) -> bool {
    let name = text.slice(from, to);
    let quote = usize::from(matches!(text.at(to), b'"' | b'\'' | b'`'));
    (from == 0 || quote == 1)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b'.')
        && OF_FIELDS.iter().any(|said| text.is_at(to + quote, said))
}

/// Whether a table is in the order that [`Text::starts`] needs.
#[cfg(test)]
pub fn is_in_order<T>(table: &[T], name: fn(&T) -> &str) -> bool {
    table.is_sorted_by_key(|entry| name(entry).as_bytes().first().copied())
        && table
            .iter()
            .all(|entry| name(entry) == name(entry).to_lowercase())
}

pub fn is_token_end(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>')
}

/// How a word is made: what tells random from written.
pub struct Make {
    pub upper: bool,
    pub lower: bool,
    pub digits: usize,
    /// How often digits and letters take turns.
    pub turns: usize,
}

impl Make {
    pub fn of(word: &[u8]) -> Self {
        let mut make = Self {
            upper: false,
            lower: false,
            digits: 0,
            turns: 0,
        };
        let mut before = 0u8;
        for byte in word {
            make.upper |= byte.is_ascii_uppercase();
            make.lower |= byte.is_ascii_lowercase();
            make.digits += usize::from(byte.is_ascii_digit());
            let turns = byte.is_ascii_digit() != before.is_ascii_digit()
                && (byte.is_ascii_alphabetic() || before.is_ascii_alphabetic());
            make.turns += usize::from(turns);
            before = *byte;
        }
        make
    }

    /// Upper and lower case and a digit.
    pub fn is_mixed(&self) -> bool {
        self.upper && self.lower && self.digits > 0
    }

    /// Upper and lower case and digits all through.
    pub fn is_random(&self) -> bool {
        self.upper && self.lower && self.turns >= 4
    }
}

/// The pieces found, in order.
#[derive(Default)]
pub struct Spans(Vec<(usize, usize)>);

impl Spans {
    /// Pieces are few and mostly come in order, so they are put where they belong at once.
    pub fn add(&mut self, from: usize, to: usize) {
        if from < to {
            let behind = self.0.iter().rev().position(|span| *span <= (from, to));
            let at = self.0.len() - behind.unwrap_or(self.0.len());
            self.0.insert(at, (from, to));
        }
    }

    /// Those that overlap or touch are one.
    pub fn merged(self) -> Vec<(usize, usize)> {
        let mut all = self.0;
        all.dedup_by(|next, before| {
            let one = next.0 <= before.1;
            if one {
                before.1 = before.1.max(next.1);
            }
            one
        });
        all
    }
}
