//! What happens around every host call: it is counted, and may be made to fail.

use wasmtime::Caller;

use crate::guest;
use crate::plugin::State;
use crate::status::Status;

/// Why a host call did not do its work.
pub enum Refusal {
    /// The guest gets this status.
    Status(Status),
    /// The guest itself trapped while the call ran its allocator.
    Trap(wasmtime::Error),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

pub type Done = Result<(), Refusal>;

/// Runs one host call under its name.
pub fn call(
    caller: &mut Caller<'_, State>,
    name: &'static str,
    body: impl FnOnce(&mut Caller<'_, State>) -> Done,
) -> wasmtime::Result<u32> {
    if let Some(interruption) = caller.data().world.interruption.clone() {
        (interruption.0)(name);
    }
    caller.data_mut().enter(name);
    let failures = &caller.data().world.failures;
    let failed = failures.iter().find_map(|failure| failure.status(name));
    let done = match failed {
        Some(status) => Err(Refusal::Status(status)),
        None => body(caller),
    };
    match done {
        Ok(()) => Ok(Status::OK),
        Err(Refusal::Status(Status(number))) => Ok(number),
        Err(Refusal::Trap(error)) => Err(error),
    }
}

/// Runs one host call that hands bytes over.
pub fn call_giving(
    caller: &mut Caller<'_, State>,
    name: &'static str,
    to: (u32, u32),
    body: impl FnOnce(&mut Caller<'_, State>) -> Result<Vec<u8>, Refusal>,
) -> wasmtime::Result<u32> {
    call(caller, name, |caller| {
        let failures = &caller.data().world.failures;
        let lie = failures.iter().find_map(|failure| failure.bytes(name));
        let bytes = match lie.map(<[u8]>::to_vec) {
            Some(lie) => lie,
            None => body(caller)?,
        };
        guest::give(caller, &bytes, to)
    })
}
