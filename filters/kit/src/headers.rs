//! Header fields as bytes: a header value need not be UTF-8 (RFC 9110 §5.5), so nothing here is a `str`.

/// One message's header fields in their order, every line kept apart.
///
/// All names and values stand in one buffer, the way the host hands them over, so reading a whole map costs one
/// allocation for the bytes and one for the index.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

/// The same lines in the same order, wherever they stand in memory.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// See [`key`].
    key: u32,
    name: Span,
    value: Span,
}

impl Line {
    /// Names compare without case (RFC 9110 §5.1).
    #[inline]
    fn is_named(&self, name: &str, key: u32, bytes: &[u8]) -> bool {
        if self.key != key {
            return false;
        }
        // Hosts hand names over in lower case, as ours are written: first the cheaper comparison.
        let (own, name) = (self.name.of(bytes), name.as_bytes());
        own == name || own.eq_ignore_ascii_case(name)
    }
}

/// What two names must share to be the same without case: the length and some letters, so that a search for one among
/// many reads hardly any other.
#[inline]
fn key(name: &[u8]) -> u32 {
    let (first, last) = match name {
        [first, .., last] => (*first, *last),
        [only] => (*only, *only),
        [] => (0, 0),
    };
    // This bit is what capitals and small letters differ in.
    let fold = |byte: u8| u32::from(byte | 0x20);
    (name.len() as u32) << 16 | fold(first) << 8 | fold(last)
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    #[inline]
    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes
            .get(start..start.saturating_add(self.len as usize))
            .unwrap_or_default()
    }
}

impl Headers {
    /// Decodes proxy-wasm's serialized map: a count, then the sizes of each name and value, then each name and
    /// value followed by a NUL; all numbers are little-endian u32. `None` if the bytes are not of that form.
    #[inline]
    pub fn from_serialized(bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let count = number(&bytes, 0)?;
        let sizes = bytes.get(4..4_usize.checked_add((count as usize).checked_mul(8)?)?)?;
        let mut lines = Vec::with_capacity(count as usize);
        // The sum of 2^29 pairs of four-byte sizes fits, so it is looked at once: where it is right, so was every part.
        let mut at = sizes.len() as u64 + 4;
        for pair in sizes.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *pair;
            let name = Span {
                start: at as u32,
                len: u32::from_le_bytes([a, b, c, d]),
            };
            at += u64::from(name.len) + 1;
            let value = Span {
                start: at as u32,
                len: u32::from_le_bytes([e, f, g, h]),
            };
            at += u64::from(value.len) + 1;
            let key = key(name.of(&bytes));
            lines.push(Line { key, name, value });
        }
        let end = usize::try_from(u32::try_from(at).ok()?).ok()?;
        (end <= bytes.len()).then_some(Self { bytes, lines })
    }

    /// The form that [`Headers::from_serialized`] reads.
    #[inline]
    pub fn to_serialized(&self) -> Vec<u8> {
        serialize(self.iter())
    }

    /// No lines, and room for so many of so many bytes together.
    #[inline]
    pub fn with_capacity(lines: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            lines: Vec::with_capacity(lines),
        }
    }

    /// The lines as given, in order.
    pub fn from_lines<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut headers = Self::default();
        for (name, value) in lines {
            headers.add(name.as_ref(), value.as_ref());
        }
        headers
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All lines as `(name, value)`, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.lines
            .iter()
            .map(|line| (line.name.of(&self.bytes), line.value.of(&self.bytes)))
    }

    /// The value of the first line of that name (names compare without case, RFC 9110 §5.1).
    #[inline]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of every line of that name, in order.
    pub fn get_all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let key = key(name.as_bytes());
        self.lines
            .iter()
            .filter(move |line| line.is_named(name, key, &self.bytes))
            .map(|line| line.value.of(&self.bytes))
    }

    #[inline]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Appends a line.
    #[inline]
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let key = key(name.as_ref());
        let name = self.store(name.as_ref());
        let value = self.store(value.as_ref());
        self.lines.push(Line { key, name, value });
    }

    /// Replaces every line of that name by one, which stands where the first of them stood, or at the end.
    #[inline]
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        let mut named = self.places(name);
        let (first, more) = (named.next(), named.next().is_some());
        drop(named);
        match first {
            // One line is how nearly every header comes; its bytes stay where they are if they fit.
            Some(at) if !more => self.overwrite(at, value),
            _ => {
                self.remove(name);
                self.add(name, value);
            }
        }
    }

    /// Removes the lines whose values may not be sent.
    #[inline]
    pub fn retain_safe(&mut self) {
        let bytes = &self.bytes;
        self.lines
            .retain(|line| is_safe_value(line.value.of(bytes)));
    }

    /// Removes every line of that name.
    #[inline]
    pub fn remove(&mut self, name: &str) {
        let (key, bytes) = (key(name.as_bytes()), &self.bytes);
        self.lines.retain(|line| !line.is_named(name, key, bytes));
    }

    /// Where the lines of that name stand.
    #[inline]
    fn places<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = usize> + use<'a, 'n> {
        let key = key(name.as_bytes());
        let named = move |(_, line): &(usize, &Line)| line.is_named(name, key, &self.bytes);
        self.lines
            .iter()
            .enumerate()
            .filter(named)
            .map(|(at, _)| at)
    }

    #[inline]
    fn overwrite(&mut self, at: usize, value: &[u8]) {
        let Some(line) = self.lines.get(at) else {
            return;
        };
        let span = line.value;
        let start = span.start as usize;
        let room = self.bytes.get_mut(start..start.saturating_add(value.len()));
        let stored = match room.filter(|room| room.len() <= span.len as usize) {
            Some(room) => {
                room.copy_from_slice(value);
                Span {
                    start: span.start,
                    len: value.len() as u32,
                }
            }
            None => self.store(value),
        };
        if let Some(line) = self.lines.get_mut(at) {
            line.value = stored;
        }
    }

    #[inline]
    fn store(&mut self, text: &[u8]) -> Span {
        // Beyond 4 GiB of headers there is no host; the line would then read as empty.
        let start = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(text.len()).unwrap_or(0);
        self.bytes.extend_from_slice(text);
        Span { start, len }
    }
}

/// Lines in the form that [`Headers::from_serialized`] reads.
#[inline]
pub fn serialize<'a>(lines: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let (count, bytes) = lines.clone().fold((0_u32, 4), |(count, bytes), line| {
        (
            count.saturating_add(1),
            bytes + line.0.len() + line.1.len() + 10,
        )
    });
    let size = |text: &[u8]| u32::try_from(text.len()).unwrap_or(0).to_le_bytes();
    let mut out = Vec::with_capacity(bytes);
    out.extend_from_slice(&count.to_le_bytes());
    for (name, value) in lines.clone() {
        out.extend_from_slice(&size(name));
        out.extend_from_slice(&size(value));
    }
    for (name, value) in lines {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

#[inline]
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}

/// Whether a header value may be sent: no CR, LF or NUL (RFC 9110 §5.5). Envoy writes them verbatim on HTTP/1, which
/// would let a value split the response.
#[inline]
pub fn is_safe_value(value: &[u8]) -> bool {
    // Eight bytes at a time: every value that is set comes by here, and policies are long.
    let (words, rest) = value.as_chunks::<8>();
    let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    !words
        .iter()
        .any(|word| has_break(u64::from_le_bytes(*word)))
        && !rest.iter().any(breaks)
}

/// Whether one of the eight bytes is CR, LF or NUL.
#[inline]
fn has_break(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // A byte below 14 takes a bit from the high one. Hardly any value has one, be it a tab.
    if word.wrapping_sub(ONES * 14) & !word & HIGH == 0 {
        return false;
    }
    // Nonzero if and only if a byte is zero: only there does taking one off set a high bit that was not set.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let nul = zeros(word);
    let cr = zeros(word ^ (ONES * b'\r' as u64));
    let lf = zeros(word ^ (ONES * b'\n' as u64));
    nul | cr | lf != 0
}

/// Whether a name is a token (RFC 9110 §5.6.2).
#[inline]
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialized(lines: &[(&[u8], &[u8])]) -> Vec<u8> {
        Headers::from_lines(lines.iter().copied()).to_serialized()
    }

    #[test]
    fn a_serialized_map_keeps_order_duplicates_and_raw_bytes() {
        let lines: &[(&[u8], &[u8])] = &[
            (b":path", b"/x"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"\xff\x80"),
            (b"empty", b""),
        ];
        let bytes = serialized(lines);
        assert_eq!(
            bytes.get(..20).unwrap(),
            [4, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 0, 3, 0, 0, 0]
        );
        assert_eq!(bytes.get(36..45).unwrap(), b":path\0/x\0");
        let headers = Headers::from_serialized(bytes).unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), lines);
        assert_eq!(
            headers.get_all("Set-Cookie").collect::<Vec<_>>(),
            [b"a=1".as_slice(), b"\xff\x80"]
        );
    }

    #[test]
    fn a_map_that_lies_about_its_sizes_is_refused_not_read() {
        let whole = serialized(&[(b"name", b"value"), (b"other", b"more")]);
        for cut in 1..whole.len() {
            assert!(
                Headers::from_serialized(whole[..cut].to_vec()).is_none(),
                "cut at {cut}"
            );
        }
        for at in 0..20 {
            let mut lie = whole.clone();
            lie[at] = 0xff;
            let _ = Headers::from_serialized(lie);
        }
    }

    #[test]
    fn setting_replaces_every_line_and_adding_keeps_them() {
        let mut headers = Headers::from_lines([("a", "1"), ("b", "2"), ("A", "3")]);
        headers.set("a", "4");
        headers.add("b", "5");
        assert_eq!(headers.get_all("a").collect::<Vec<_>>(), [b"4"]);
        assert_eq!(headers.get_all("b").count(), 2);
        headers.remove("B");
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_value_is_searched_at_every_place_for_every_byte() {
        for len in 1..20 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut value = vec![b'a'; len];
                    value[at] = byte;
                    let safe = !matches!(byte, b'\r' | b'\n' | 0);
                    assert_eq!(is_safe_value(&value), safe, "{byte} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn a_value_that_is_set_stands_where_the_old_one_stood() {
        for value in ["", "xy", "xyz", "longer than before"] {
            let mut headers = Headers::from_lines([("a", "1"), ("b", "old"), ("c", "3")]);
            headers.set("B", value);
            let lines = [("a", "1"), ("b", value), ("c", "3")];
            let lines = lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert_eq!(headers.iter().collect::<Vec<_>>(), lines);
        }
    }

    #[test]
    fn cr_lf_and_nul_never_pass_as_a_value() {
        for bad in ["a\rb", "a\nb", "a\0b"] {
            assert!(!is_safe_value(bad.as_bytes()));
        }
        assert!(is_safe_value(b"caf\xe9\ttab"));
        let mut headers = Headers::from_lines([("a", "1"), ("b", "2\r\nc: 3"), ("d", "4")]);
        headers.retain_safe();
        assert_eq!(headers, Headers::from_lines([("a", "1"), ("d", "4")]));
        assert!(is_token(b"x-request-id") && !is_token(b"x:y") && !is_token(b""));
    }
}
