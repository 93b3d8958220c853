//! The few calls of WASI that Rust's standard library makes.

use wasmtime::{Caller, Linker};

use crate::call::{Refusal, call};
use crate::guest::{self, write_number};
use crate::plugin::State;
use crate::status::Status;

const WASI: &str = "wasi_snapshot_preview1";
/// WASI's number for an argument it does not take.
const INVALID: Status = Status(28);

type In<'a> = Caller<'a, State>;

pub fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    environment(linker)?;
    linker.func_wrap(
        WASI,
        "random_get",
        |mut caller: In<'_>, at: u32, size: u32| {
            call(&mut caller, "random_get", |caller| {
                let bytes = caller.data_mut().world.random(size as usize);
                guest::write(caller, at, &bytes)
            })
        },
    )?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut caller: In<'_>, _: u32, _: u64, to: u32| {
            call(&mut caller, "clock_time_get", |caller| {
                let now = caller.data().world.now;
                guest::write(caller, to, &now.to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        WASI,
        "fd_write",
        |mut caller: In<'_>, file: u32, vectors: u32, count: u32, written: u32| {
            call(&mut caller, "fd_write", |caller| {
                // Envoy logs standard output as "info" and standard error as "error".
                let level = match file {
                    1 => 2,
                    2 => 4,
                    _ => return Err(Refusal::Status(INVALID)),
                };
                let mut text = Vec::new();
                for vector in 0..count {
                    let pair = guest::read(caller, vectors + vector * 8, 8)?;
                    let number =
                        |at: usize| u32::from_le_bytes(pair[at..at + 4].try_into().unwrap());
                    text.extend(guest::read(caller, number(0), number(4))?);
                }
                let size = u32::try_from(text.len()).unwrap();
                let line = String::from_utf8_lossy(&text).into_owned();
                caller.data_mut().world.logs.push((level, line));
                write_number(caller, written, size)
            })
        },
    )?;
    linker.func_wrap(WASI, "proc_exit", |code: u32| -> wasmtime::Result<()> {
        Err(wasmtime::format_err!("the guest exited with {code}"))
    })?;
    Ok(())
}

/// The variables in WASI's form: `NAME=value` with a NUL after each.
fn variables(caller: &In<'_>) -> Vec<Vec<u8>> {
    let variables = caller.data().world.environment.iter();
    variables
        .map(|(name, value)| format!("{name}={value}\0").into_bytes())
        .collect()
}

fn environment(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.func_wrap(
        WASI,
        "environ_sizes_get",
        |mut caller: In<'_>, count: u32, size: u32| {
            call(&mut caller, "environ_sizes_get", |caller| {
                let variables = variables(caller);
                let bytes: usize = variables.iter().map(Vec::len).sum();
                write_number(caller, count, u32::try_from(variables.len()).unwrap())?;
                write_number(caller, size, u32::try_from(bytes).unwrap())
            })
        },
    )?;
    linker.func_wrap(
        WASI,
        "environ_get",
        |mut caller: In<'_>, pointers: u32, bytes: u32| {
            call(&mut caller, "environ_get", |caller| {
                let (mut pointer, mut at) = (pointers, bytes);
                for variable in variables(caller) {
                    write_number(caller, pointer, at)?;
                    guest::write(caller, at, &variable)?;
                    pointer += 4;
                    at += u32::try_from(variable.len()).unwrap();
                }
                Ok(())
            })
        },
    )?;
    Ok(())
}
