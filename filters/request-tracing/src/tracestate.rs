//! The `tracestate` field (W3C Trace Context Level 2, "Tracestate Header").

use portcullis_kit::ascii::AsciiSet;

use crate::context::trim_ows;

/// The most list members a field may have.
pub const MAX_MEMBERS: usize = 32;
/// The length, in bytes, that must at least be carried on.
pub const MIN_CARRIED_LEN: usize = 512;
/// The longest key and the longest value, in bytes.
const MAX_PART_LEN: usize = 256;
/// The longest parts of a key before and after its `@`.
const MAX_TENANT_LEN: usize = 241;
const MAX_SYSTEM_LEN: usize = 14;
/// Members longer than this go first when the field is too long.
const LONG_MEMBER_LEN: usize = 128;

/// Valid list members, leftmost first. At most [`MAX_MEMBERS`]. A key that a sender gave twice stands twice: adding no
/// second one is the adding participant's duty, not the receiver's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState {
    /// `key=value` joined by `,`: the form in which it leaves, so that most requests need this one allocation.
    text: String,
}

impl TraceState {
    /// Reads all lines of a message in order. Empty members are dropped. `None` if a member is not valid or there are
    /// more than [`MAX_MEMBERS`]: the whole field is then to be dropped.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut state = Self::default();
        let mut count = 0_usize;
        for line in lines {
            // Room for all of it and a comma, so that the text does not grow.
            state.text.reserve(line.len() + 1);
            for member in line.split(|byte| *byte == b',') {
                let member = trim_ows(member);
                if member.is_empty() {
                    continue;
                }
                count += 1;
                if count > MAX_MEMBERS {
                    return None;
                }
                let member = valid(member)?;
                if !state.text.is_empty() {
                    state.text.push(',');
                }
                state.text.push_str(member);
            }
        }
        Some(state)
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.members().count()
    }

    /// All members as one field value.
    #[inline]
    pub fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The members as `(key, value)`, leftmost first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members().filter_map(|member| member.split_once('='))
    }

    #[inline]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Puts the member at the left, in place of those with that key. When that makes one too many,
    /// the rightmost of those over 128 bytes goes, or else the rightmost. A key or value outside the grammar changes nothing.
    #[inline]
    pub fn set_leftmost(&mut self, key: &str, value: &str) {
        if !is_key(key.as_bytes()) || !is_value(value.as_bytes()) {
            return;
        }
        let mut text = String::with_capacity(self.text.len() + key.len() + value.len() + 2);
        push(&mut text, key, value);
        let mut others: Vec<(&str, &str)> = self.iter().filter(|(name, _)| *name != key).collect();
        if others.len() >= MAX_MEMBERS {
            let long = others
                .iter()
                .rposition(|(name, value)| name.len() + 1 + value.len() > LONG_MEMBER_LEN);
            others.remove(long.unwrap_or(others.len() - 1));
        }
        for (name, value) in others {
            push(&mut text, name, value);
        }
        self.text = text;
    }

    #[inline]
    pub fn remove(&mut self, key: &str) {
        if self.get(key).is_none() {
            return;
        }
        let mut text = String::with_capacity(self.text.len());
        for (name, value) in self.iter().filter(|(name, _)| *name != key) {
            push(&mut text, name, value);
        }
        self.text = text;
    }

    /// The field value in at most `max_len` bytes (never less than [`MIN_CARRIED_LEN`]), or `None` where there is
    /// nothing to send. What does not fit goes as whole members: first those over 128 bytes, then the others, both
    /// from the right.
    #[inline]
    pub fn to_header(&self, max_len: usize) -> Option<String> {
        let max_len = max_len.max(MIN_CARRIED_LEN);
        if self.is_empty() {
            return None;
        }
        if self.text.len() <= max_len {
            return Some(self.text.clone());
        }
        let mut members: Vec<&str> = self.members().collect();
        let mut len = self.text.len();
        drop_from_right(&mut members, &mut len, max_len, LONG_MEMBER_LEN);
        drop_from_right(&mut members, &mut len, max_len, 0);
        (!members.is_empty()).then(|| members.join(","))
    }

    #[inline]
    fn members(&self) -> impl Iterator<Item = &str> {
        self.text.split(',').filter(|member| !member.is_empty())
    }
}

#[inline]
fn drop_from_right(members: &mut Vec<&str>, len: &mut usize, max_len: usize, longer_than: usize) {
    while *len > max_len {
        let Some(at) = members
            .iter()
            .rposition(|member| member.len() > longer_than)
        else {
            return;
        };
        *len = len.saturating_sub(members.remove(at).len() + 1);
    }
}

#[inline]
fn push(text: &mut String, key: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(key);
    text.push('=');
    text.push_str(value);
}

/// The member if both its parts are of the grammar.
#[inline]
fn valid(member: &[u8]) -> Option<&str> {
    let equals = member.iter().position(|byte| *byte == b'=')?;
    let (key, value) = member.split_at_checked(equals)?;
    if !is_key(key) || !is_value(value.get(1..)?) {
        return None;
    }
    str::from_utf8(member).ok()
}

/// `keychar`, without the `@`.
const KEY: AsciiSet = AsciiSet::of(b"_-*/")
    .and_range(b'a', b'z')
    .and_range(b'0', b'9');
/// `chr`: printable, without `,` and `=`.
const VALUE: AsciiSet = AsciiSet::of(b"")
    .and_range(b' ', b'+')
    .and_range(b'-', b'<')
    .and_range(b'>', b'~');

/// `( lcalpha / DIGIT ) 0*255 ( keychar )`. Level 2's grammar gives `@` no meaning of its own; its conformance suite, at
/// its strictest, still asks for Level 1's `tenant@system`, so a key with `@` must be both.
#[inline]
fn is_key(key: &[u8]) -> bool {
    let begins = matches!(key, [b'a'..=b'z' | b'0'..=b'9', ..]);
    // Whatever is not legal in both parts must be the one `@`.
    let Some(at) = key.iter().position(|byte| !KEY.has(*byte)) else {
        return begins && key.len() <= MAX_PART_LEN;
    };
    let system = match key.get(at..) {
        Some([b'@', system @ ..]) => system,
        _ => return false,
    };
    begins
        && at <= MAX_TENANT_LEN
        && (1..=MAX_SYSTEM_LEN).contains(&system.len())
        && KEY.has_all(system)
}

/// `0*255(chr) nblk-chr`: a value may begin with spaces, not end with one.
#[inline]
fn is_value(value: &[u8]) -> bool {
    value.last().is_some_and(|byte| *byte != b' ')
        && value.len() <= MAX_PART_LEN
        && VALUE.has_all(value)
}
