//! Header lines, and the form in which they cross into a guest.

use crate::status::Status;

/// One message's header lines in their order; names as given, compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(Vec<(Vec<u8>, Vec<u8>)>);

impl Lines {
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(lines: impl IntoIterator<Item = (N, V)>) -> Self {
        let lines = lines.into_iter();
        Self(
            lines
                .map(|(name, value)| (name.as_ref().to_vec(), value.as_ref().to_vec()))
                .collect(),
        )
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The first line's value.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.all(name).first().copied()
    }

    /// The first line's value as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Every line's value, in order.
    pub fn all(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        let of_name = |line: &&(Vec<u8>, Vec<u8>)| line.0.eq_ignore_ascii_case(name.as_ref());
        let lines = self.0.iter().filter(of_name);
        lines.map(|(_, value)| &value[..]).collect()
    }

    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        // Envoy knows only lower-case names.
        let name = name.as_ref().to_ascii_lowercase();
        self.0.push((name, value.as_ref().to_vec()));
    }

    /// One line, at the end, instead of all of that name.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(&name);
        self.add(name, value);
    }

    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        self.0
            .retain(|line| !line.0.eq_ignore_ascii_case(name.as_ref()));
    }

    /// The ABI's form: a count, the sizes of each name and value, then each name and value with a NUL after it.
    pub(crate) fn serialize(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut out = u32::try_from(self.0.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in &self.0 {
            out.extend(size(name));
            out.extend(size(value));
        }
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            out.extend_from_slice(part);
            out.push(0);
        }
        out
    }

    /// Reads the ABI's form as a guest sent it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Status> {
        Self::read(bytes).ok_or(Status::SERIALIZATION_FAILURE)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let number = |at: usize| {
            let four = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(four) as usize)
        };
        let count = number(0)?;
        let mut at = 4 + count.checked_mul(8)?;
        let mut part = |size: usize| {
            let part = bytes.get(at..at + size)?.to_vec();
            (bytes.get(at + size)? == &0).then_some(())?;
            at += size + 1;
            Some(part)
        };
        let mut lines = Self::default();
        for index in 0..count {
            let (name, value) = (number(4 + index * 8)?, number(8 + index * 8)?);
            let name = part(name)?;
            lines.add(name, part(value)?);
        }
        Some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_serialized_reads_as_the_same_lines() {
        let lines = Lines::new([("a", &b"1"[..]), ("b", b""), ("a", b"\xff\0")]);
        assert_eq!(Lines::parse(&lines.serialize()), Ok(lines.clone()));
        for cut in 1..lines.serialize().len() {
            assert!(Lines::parse(&lines.serialize()[..cut]).is_err(), "{cut}");
        }
        assert_eq!(Lines::parse(b""), Ok(Lines::default()));
    }

    #[test]
    fn setting_leaves_one_line_at_the_end() {
        let mut lines = Lines::new([("a", "1"), ("b", "2"), ("A", "3")]);
        lines.set("a", "4");
        lines.set("c", "5");
        assert_eq!(lines, Lines::new([("b", "2"), ("a", "4"), ("c", "5")]));
    }
}
