//! What is read, cut into records: NDJSON, JSON arrays, OTLP JSON exports, access logs that carry records as text.

use std::io::{self, BufRead};

use serde_json::Value;

use super::finding::Because;
use super::strict;

/// Longer texts are not kept: no emitter writes such a record, no collector such an export.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// A text between two separators: a JSON object, or what stands in the place of one.
pub struct Piece<'a> {
    pub text: &'a [u8],
    /// Where it begins, from 1.
    pub line: u64,
}

/// Cuts a stream into objects. White space, commas and brackets between them are separators, so an array is read like
/// lines are, an object at a time.
///
/// A text that is cut short does not take the next ones with it: a line break within a string ends it, and so does a
/// line that begins with a brace.
pub struct Splitter<'r> {
    from: &'r mut dyn BufRead,
    text: Vec<u8>,
    line: u64,
    start: u64,
    state: State,
    depth: u32,
    line_begins: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Object,
    Text,
    Escape,
    /// No JSON object: up to the end of the line.
    Junk,
}

/// What a byte means for the piece under way.
enum Step {
    Skip,
    Take,
    /// The piece ends with this byte.
    Ends,
    /// The piece ended before this byte, which is looked at again.
    Ended,
}

impl<'r> Splitter<'r> {
    pub fn new(from: &'r mut dyn BufRead) -> Self {
        Self {
            from,
            text: Vec::new(),
            line: 1,
            start: 1,
            state: State::Between,
            depth: 0,
            line_begins: true,
        }
    }

    /// The next piece, or `None` at the end.
    #[allow(
        clippy::should_implement_trait,
        reason = "what it gives lives until it is asked again"
    )]
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.text.clear();
        self.state = State::Between;
        loop {
            let available = match self.from.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                let whole = self.state != State::Between;
                let line = self.start;
                return Ok(whole.then_some(Piece {
                    text: &self.text,
                    line,
                }));
            }
            let mut machine = Machine {
                line: &mut self.line,
                start: &mut self.start,
                state: &mut self.state,
                depth: &mut self.depth,
                line_begins: &mut self.line_begins,
            };
            let mut used = 0;
            let mut done = false;
            for &byte in available {
                match machine.step(byte) {
                    Step::Skip => {}
                    Step::Take if self.text.len() < MAX_TEXT_BYTES => self.text.push(byte),
                    Step::Take => {}
                    Step::Ends => {
                        self.text.push(byte);
                        done = true;
                    }
                    Step::Ended => {
                        done = true;
                        break;
                    }
                }
                used += 1;
                if done {
                    break;
                }
            }
            self.from.consume(used);
            if done {
                let line = self.start;
                return Ok(Some(Piece {
                    text: &self.text,
                    line,
                }));
            }
        }
    }
}

struct Machine<'a> {
    line: &'a mut u64,
    start: &'a mut u64,
    state: &'a mut State,
    depth: &'a mut u32,
    line_begins: &'a mut bool,
}

impl Machine<'_> {
    fn step(&mut self, byte: u8) -> Step {
        let begins = *self.line_begins;
        let step = self.judge(byte, begins);
        if !matches!(step, Step::Ended) {
            *self.line_begins = byte == b'\n';
            *self.line += u64::from(byte == b'\n');
        }
        step
    }

    fn judge(&mut self, byte: u8, begins: bool) -> Step {
        match (*self.state, byte) {
            (State::Between, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']') => Step::Skip,
            (State::Between, _) => {
                *self.start = *self.line;
                *self.depth = 1;
                *self.state = match byte {
                    b'{' => State::Object,
                    _ => State::Junk,
                };
                Step::Take
            }
            (State::Junk, b'\n') => Step::Ended,
            (State::Junk, _) => Step::Take,
            (State::Text | State::Escape, b'\n') => Step::Ended,
            (State::Text, b'"') => self.turn(State::Object),
            (State::Text, b'\\') => self.turn(State::Escape),
            (State::Text, _) => Step::Take,
            (State::Escape, _) => self.turn(State::Text),
            (State::Object, b'{') if begins => Step::Ended,
            (State::Object, b'"') => self.turn(State::Text),
            (State::Object, b'{') => {
                *self.depth = self.depth.saturating_add(1);
                Step::Take
            }
            (State::Object, b'}') => {
                *self.depth = self.depth.saturating_sub(1);
                if *self.depth == 0 {
                    Step::Ends
                } else {
                    Step::Take
                }
            }
            (State::Object, _) => Step::Take,
        }
    }

    fn turn(&mut self, state: State) -> Step {
        *self.state = state;
        Step::Take
    }
}

/// Gives each object with a `chain` in a stream. What is none is passed over.
pub fn each_record(from: &mut dyn BufRead, give: &mut dyn FnMut(Value)) -> io::Result<()> {
    let mut splitter = Splitter::new(from);
    while let Some(piece) = splitter.next()? {
        unpack(piece.text, &mut |item| match item {
            Item::Object(value) if super::record::has_chain(&value) => give(value),
            _ => {}
        });
    }
    Ok(())
}

/// What a piece holds.
pub enum Item {
    /// An object: a record, if it has a `chain`.
    Object(Value),
    /// Nothing of ours can be seen in it.
    Other,
    /// Unreadable, or to be read in two ways, where a chain is.
    Flawed(Because),
}

/// Gives each thing in a piece that could be a record: the object itself, the bodies of the log records in it, or the
/// texts in it that are objects.
pub fn unpack(text: &[u8], give: &mut dyn FnMut(Item)) {
    let value = match read(text) {
        Ok(value) => value,
        Err(item) => return give(item),
    };
    if value.get("resourceLogs").is_some() {
        return bodies(&value, give);
    }
    if super::record::has_chain(&value) {
        return give(Item::Object(value));
    }
    let texts = value.as_object().into_iter().flat_map(|map| map.values());
    let mut carried = texts
        .filter_map(Value::as_str)
        .filter(|text| text.starts_with('{') && names_chain(text.as_bytes()))
        .peekable();
    if carried.peek().is_none() {
        return give(Item::Object(value));
    }
    // A text may carry several, a line each.
    for text in carried.flat_map(str::lines) {
        give(read(text.as_bytes()).map_or_else(|item| item, Item::Object));
    }
}

fn read(text: &[u8]) -> Result<Value, Item> {
    match strict::parse(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Err(error) if names_chain(text) => Err(Item::Flawed(Because::Json(error.to_string()))),
        _ => Err(Item::Other),
    }
}

fn names_chain(text: &[u8]) -> bool {
    // In an export the closing quote has a backslash before it.
    text.windows(6).any(|bytes| bytes == b"\"chain")
}

/// The bodies of an OTLP export's log records: `resourceLogs[].scopeLogs[].logRecords[].body.stringValue`.
fn bodies(export: &Value, give: &mut dyn FnMut(Item)) {
    for resource in list(export, "resourceLogs") {
        for scope in list(resource, "scopeLogs") {
            for log in list(scope, "logRecords") {
                let body = log.get("body").and_then(|body| body.get("stringValue"));
                give(match body.and_then(Value::as_str) {
                    Some(text) => read(text.as_bytes()).map_or_else(|item| item, Item::Object),
                    None => Item::Other,
                });
            }
        }
    }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let items = value.get(name).and_then(Value::as_array);
    items.map_or(&[], Vec::as_slice)
}
