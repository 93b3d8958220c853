//! Where in the settings something stands: `tiers.free.limits[2].window`.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Key(String),
    Index(usize),
}

/// A place in the settings, from their top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Segment>);

impl Path {
    pub fn top() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn key(self, key: impl AsRef<str>) -> Self {
        self.with_key(key.as_ref())
    }

    // Not inlined, as all here: paths are written all over the settings, and rarely.
    #[inline(never)]
    fn with_key(mut self, key: &str) -> Self {
        self.push(Segment::Key(key.to_owned()));
        self
    }

    #[must_use]
    #[inline(never)]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// This path below another one.
    #[must_use]
    #[inline(never)]
    pub fn below(self, mut parent: Self) -> Self {
        parent.0.extend(self.0);
        parent
    }

    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    pub fn pop(&mut self) {
        self.0.pop();
    }

    #[inline(never)]
    pub fn push(&mut self, segment: Segment) {
        self.0.push(segment);
    }

    /// For a path that was written from the inside out.
    pub(super) fn reverse(&mut self) {
        self.0.reverse();
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the top level");
        }
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if key.contains('.') => write!(f, "[{}]", super::json_text(key))?,
                Segment::Key(key) if at == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_a_user_would_write_it() {
        let path = Path::top()
            .key("tiers")
            .key("free")
            .key("limits")
            .index(2)
            .key("window");
        assert_eq!(path.to_string(), "tiers.free.limits[2].window");
        assert_eq!(
            Path::top().key("hosts").key("a.example").to_string(),
            "hosts[\"a.example\"]"
        );
        assert_eq!(Path::top().to_string(), "the top level");
    }
}
