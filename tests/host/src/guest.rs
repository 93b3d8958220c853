//! The guest's memory as host calls use it.

use wasmtime::{Caller, Memory, TypedFunc};

use crate::call::Refusal;
use crate::plugin::State;
use crate::status::Status;

/// What every host call needs of the guest.
#[derive(Clone)]
pub struct Guest {
    pub memory: Memory,
    pub allocate: TypedFunc<u32, u32>,
}

impl Guest {
    fn of(caller: &Caller<'_, State>) -> Result<Self, Refusal> {
        let guest = caller.data().guest.clone();
        guest.ok_or(Refusal::Status(Status::INTERNAL_FAILURE))
    }
}

pub fn read(caller: &Caller<'_, State>, at: u32, size: u32) -> Result<Vec<u8>, Refusal> {
    let guest = Guest::of(caller)?;
    let (start, size) = (at as usize, size as usize);
    let found = guest.memory.data(caller).get(start..start + size);
    let found = found.ok_or(Refusal::Status(Status::INVALID_MEMORY_ACCESS))?;
    Ok(found.to_vec())
}

pub fn text(caller: &Caller<'_, State>, at: u32, size: u32) -> Result<String, Refusal> {
    read(caller, at, size).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

pub fn write(caller: &mut Caller<'_, State>, at: u32, bytes: &[u8]) -> Result<(), Refusal> {
    let guest = Guest::of(caller)?;
    guest
        .memory
        .write(caller, at as usize, bytes)
        .map_err(|_| Refusal::Status(Status::INVALID_MEMORY_ACCESS))
}

pub fn write_number(caller: &mut Caller<'_, State>, at: u32, number: u32) -> Result<(), Refusal> {
    write(caller, at, &number.to_le_bytes())
}

/// Hands bytes over: asks the guest for memory, fills it, and writes where it is and how much. No bytes ask for none.
pub fn give(
    caller: &mut Caller<'_, State>,
    bytes: &[u8],
    (data, size): (u32, u32),
) -> Result<(), Refusal> {
    let mut at = 0;
    let count = u32::try_from(bytes.len()).unwrap();
    if count > 0 {
        let guest = Guest::of(caller)?;
        at = guest
            .allocate
            .call(&mut *caller, count)
            .map_err(Refusal::Trap)?;
        write(caller, at, bytes)?;
        caller.data_mut().note_returned();
    }
    write_number(caller, data, at)?;
    write_number(caller, size, count)
}
