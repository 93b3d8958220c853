//! Code that nothing calls any more, and that still looks called.
//!
//! When the SDK's exports are gone, its dispatcher has no way in; but its methods stand in the module's function table,
//! and what stands there counts as used. Their names tell them apart.

use walrus::ir::{Instr, Unreachable};
use walrus::{FunctionKind, LocalFunction, Module};

/// Parts of mangled names: what the SDK's dispatcher and wrappers of host calls are made of. The adapter uses neither.
const UNUSED: [&str; 2] = ["10proxy_wasm10dispatcher", "10proxy_wasm9hostcalls"];

/// Empties the functions that only the SDK's dispatcher reached. A module without names stays as it is.
pub fn empty(module: &mut Module) {
    for function in module.funcs.iter_mut() {
        let named = |part| {
            function
                .name
                .as_ref()
                .is_some_and(|name| name.contains(part))
        };
        if !UNUSED.into_iter().any(named) {
            continue;
        }
        if let FunctionKind::Local(local) = &mut function.kind
            && calls(local)
        {
            let entry = local.entry_block();
            local.block_mut(entry).instrs = vec![(Unreachable {}.into(), Default::default())];
        }
    }
}

/// The optimiser gives functions with equal bodies one name. Those that call something name their own place in the
/// source for a panic, so they have no equal; one that does nothing may be anybody's.
fn calls(function: &LocalFunction) -> bool {
    let mut found = false;
    let mut pending = vec![function.entry_block()];
    while let Some(block) = pending.pop() {
        for (instruction, _) in &function.block(block).instrs {
            match instruction {
                Instr::Call(_) | Instr::CallIndirect(_) => found = true,
                Instr::Block(inner) => pending.push(inner.seq),
                Instr::Loop(inner) => pending.push(inner.seq),
                Instr::IfElse(inner) => pending.extend([inner.consequent, inner.alternative]),
                _ => {}
            }
        }
    }
    found
}
