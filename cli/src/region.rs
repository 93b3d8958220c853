//! Parts of a file that are generated, between two marks that have lines of their own.

/// Why a file has no part to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmarked {
    NoRegion,
    NoEnd { line: usize },
}

/// One part: its marks with their line ends, what the first one says, and where that stands.
pub struct Region<'a, T> {
    pub what: T,
    pub line: usize,
    pub start: &'a str,
    pub end: &'a str,
}

/// The text with every part made anew, marks included. `start` reads a first mark, `end` is the last one.
pub fn renew<'a, T, E: From<Unmarked>>(
    text: &'a str,
    start: impl Fn(&str) -> Option<T>,
    end: &str,
    make: impl Fn(Region<'a, T>) -> Result<String, E>,
) -> Result<String, E> {
    let mut out = String::with_capacity(text.len());
    let mut regions = 0_usize;
    let mut lines = text.split_inclusive('\n').enumerate();
    while let Some((at, first)) = lines.next() {
        let Some(what) = start(first.trim()) else {
            out.push_str(first);
            continue;
        };
        let line = at.saturating_add(1);
        let (_, last) = lines
            .find(|(_, line)| line.trim() == end)
            .ok_or(Unmarked::NoEnd { line })?;
        out.push_str(&make(Region {
            what,
            line,
            start: first,
            end: last,
        })?);
        regions = regions.saturating_add(1);
    }
    if regions == 0 {
        return Err(Unmarked::NoRegion.into());
    }
    Ok(out)
}
