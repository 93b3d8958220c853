//! What a module's work costs: host calls and guest instructions, by phase.

use std::collections::BTreeMap;

/// The callback under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// From instantiation to the accepted configuration.
    Start,
    /// A stream's context is made.
    Create,
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Log,
    /// A stream's context goes.
    Delete,
    Tick,
    CalloutAnswer,
}

impl Phase {
    pub fn is_response(self) -> bool {
        matches!(
            self,
            Self::ResponseHeaders | Self::ResponseBody | Self::ResponseTrailers
        )
    }
}

/// What one exchange cost, or one start, tick or callout's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// How often each host call was made.
    pub calls: BTreeMap<(Phase, &'static str), u64>,
    /// How often each host call handed bytes over.
    pub returning: BTreeMap<(Phase, &'static str), u64>,
    /// Guest instructions, wasmtime's fuel; the guest's allocator included where a host call runs it.
    pub fuel: BTreeMap<Phase, u64>,
}

impl Cost {
    pub fn host_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Host calls of that name, in any phase.
    pub fn of(&self, name: &str) -> u64 {
        let named = self.calls.iter().filter(|((_, call), _)| *call == name);
        named.map(|(_, count)| count).sum()
    }

    /// Host calls that handed bytes over.
    pub fn byte_returning(&self) -> u64 {
        self.returning.values().sum()
    }

    /// Host calls that handed bytes over while the response passed.
    pub fn byte_returning_in_response(&self) -> u64 {
        let response = self
            .returning
            .iter()
            .filter(|((phase, _), _)| phase.is_response());
        response.map(|(_, count)| count).sum()
    }

    pub fn instructions(&self) -> u64 {
        self.fuel.values().sum()
    }
}
