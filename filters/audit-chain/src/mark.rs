//! What a record says of the chain itself.

/// What the emitter counted since its chain began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that no sink has, and none will get.
    pub dropped: u64,
    /// Batches sent once more.
    pub retried: u64,
}

/// What a record says of the chain, beside its own matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: a request's record, most of all.
    None,
    /// `checkpoint`: all counts up to here. `emitted` in it is the record's own `seq`.
    Checkpoint,
    /// `dropped`: these sealed records were given up before a sink acknowledged them.
    Dropped { first: u64, last: u64 },
    /// `restart`: the machine ended without notice. What was sealed after `acknowledged` may be lost.
    Restart,
}

/// Appends `"NAME":NUMBER`.
#[inline]
pub fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
