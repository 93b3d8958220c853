//! The step after linking: a module keeps the callbacks its filters need and nothing else.
//!
//! A host calls every callback that a module exports, on every request, whatever it does. The SDK exports all that the
//! ABI knows, so here those go which no filter of the module declared, with the code that only they reached.
//!
//! What the filters need stands in the custom section `portcullis.callbacks`: one little-endian `u32` per
//! [`Callbacks`] value, written by the adapter's `export!`.

mod error;
mod exports;
mod unused;

pub use error::LinkError;
pub use exports::{is_kept, required};

use portcullis_kit::Callbacks;
use walrus::{Module, ModuleConfig, RawCustomSection};

/// The custom section in which a module says what its filters need.
pub const SECTION: &str = "portcullis.callbacks";

/// A finished module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    pub wasm: Vec<u8>,
    /// The names of the exports that are left, sorted.
    pub exports: Vec<String>,
}

/// Removes every export that no host and no filter of this module needs, then all code and data that nothing reaches
/// any more, and every custom section. The same bytes give the same result.
///
/// # Errors
/// See [`LinkError`].
pub fn link(wasm: &[u8]) -> Result<Linked, LinkError> {
    let mut module = parse(wasm)?;
    let needed = take_callbacks(&mut module)?;
    replace_exports(&mut module);
    remove_exports(&mut module, needed);
    let exports = exports(&module);
    if let Some(name) = required(needed).find(|name| !exports.iter().any(|kept| kept == name)) {
        return Err(LinkError::MissingExport { name });
    }
    if !exports::ALLOCATORS
        .iter()
        .any(|name| exports.iter().any(|kept| kept == name))
    {
        return Err(LinkError::NoAllocator);
    }
    unused::empty(&mut module);
    walrus::passes::gc::run(&mut module);
    remove_custom_sections(&mut module);
    Ok(Linked {
        wasm: module.emit_wasm(),
        exports,
    })
}

fn parse(wasm: &[u8]) -> Result<Module, LinkError> {
    ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .generate_dwarf(false)
        .parse(wasm)
        .map_err(|error| LinkError::NotAModule(error.into()))
}

/// Takes the section out; several values are joined, as the linker joins sections of one name.
fn take_callbacks(module: &mut Module) -> Result<Callbacks, LinkError> {
    let mut bytes = Vec::new();
    while let Some(RawCustomSection { data, .. }) = module.customs.remove_raw(SECTION) {
        bytes.extend(data);
    }
    if bytes.is_empty() {
        return Err(LinkError::NoCallbacks);
    }
    let (values, []) = bytes.as_chunks::<4>() else {
        return Err(LinkError::CallbacksSize { bytes: bytes.len() });
    };
    let bits = values
        .iter()
        .fold(0, |bits, value| bits | u32::from_le_bytes(*value));
    Ok(Callbacks::from_bits(bits))
}

/// An export `portcullis_on_X` is the adapter's own form of the SDK's `proxy_on_X`, and takes its place.
fn replace_exports(module: &mut Module) {
    let own: Vec<_> = module
        .exports
        .iter()
        .filter_map(|export| {
            let callback = export.name.strip_prefix("portcullis_on_")?;
            Some((export.id(), format!("proxy_on_{callback}")))
        })
        .collect();
    for (id, name) in own {
        // Where the SDK has no such export there is nothing to replace.
        let _ = module.exports.remove(&name);
        module.exports.get_mut(id).name = name;
    }
}

fn remove_exports(module: &mut Module, needed: Callbacks) {
    let unneeded: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !is_kept(&export.name, needed))
        .map(walrus::Export::id)
        .collect();
    for id in unneeded {
        module.exports.delete(id);
    }
}

fn exports(module: &Module) -> Vec<String> {
    let mut names: Vec<_> = module
        .exports
        .iter()
        .map(|export| export.name.clone())
        .collect();
    names.sort();
    names
}

fn remove_custom_sections(module: &mut Module) {
    let ids: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for id in ids {
        module.customs.delete(id);
    }
}
