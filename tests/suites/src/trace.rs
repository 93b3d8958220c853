//! Trace context as an upstream received it.

/// What the upstream received, checked for form.
#[derive(Debug)]
pub struct Received {
    /// The listener it came through; for messages.
    pub listener: String,
    pub trace: String,
    pub parent: String,
    pub flags: u8,
    /// The members of the tracestate, in order.
    pub state: Vec<(String, String)>,
}

impl Received {
    /// The value of the member with that key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.state
            .iter()
            .find(|(found, _)| found == key)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads `traceparent` and all lines of `tracestate`. Panics where a sender must not write it so.
#[track_caller]
pub fn parse(traceparent: &str, tracestate: &str) -> Received {
    let parts: Vec<&str> = traceparent.split('-').collect();
    let hex = |text: &str, len: usize| {
        text.len() == len
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let [version, trace, parent, flags] = parts[..] else {
        panic!("{traceparent}")
    };
    assert!(
        version == "00" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2),
        "{traceparent}"
    );
    assert!(
        trace.bytes().any(|byte| byte != b'0') && parent.bytes().any(|byte| byte != b'0'),
        "{traceparent}"
    );
    let state: Vec<(String, String)> = tracestate
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty())
        .map(|member| {
            member
                .split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .expect("key=value")
        })
        .collect();
    assert!(state.len() <= 32, "{tracestate}");
    Received {
        listener: String::new(),
        trace: trace.to_owned(),
        parent: parent.to_owned(),
        flags: u8::from_str_radix(flags, 16).unwrap(),
        state,
    }
}
