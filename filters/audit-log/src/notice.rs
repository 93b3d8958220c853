//! What the bundle tells of itself, as records among the others.

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The first record of an emitter.
    Start,
    /// A configuration is in force on this worker; SHA-256 of it, and of the one before it, where it is another.
    SettingsLoaded {
        fingerprint: &'a str,
        before: Option<&'a str>,
    },
    /// The worker's plugin ends in order.
    Stop,
    /// The machine that emitted before ended without notice, and so many records were lost with it.
    Restart { records: u64 },
    /// How many records there were so far.
    Checkpoint,
    /// Records were given up.
    Dropped { records: u64, reason: &'a str },
    /// No sink takes records.
    SinkDown,
    /// One does again.
    SinkUp,
}

impl Notice<'_> {
    pub fn event(&self) -> &'static str {
        match self {
            Self::Start => "bundle.start",
            Self::SettingsLoaded { .. } => "bundle.settings_loaded",
            Self::Stop => "bundle.stop",
            Self::Restart { .. } => "bundle.restart",
            Self::Checkpoint => "bundle.checkpoint",
            Self::Dropped { .. } => "bundle.dropped",
            Self::SinkDown => "bundle.sink_down",
            Self::SinkUp => "bundle.sink_up",
        }
    }
}
