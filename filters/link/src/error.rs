//! Why a module cannot be finished.

use std::error::Error;
use std::fmt;

/// Why a module cannot be finished.
#[derive(Debug)]
pub enum LinkError {
    /// The bytes are no WebAssembly module; the parser's own words.
    NotAModule(Box<dyn Error + Send + Sync>),
    /// No custom section says which callbacks are needed.
    NoCallbacks,
    /// The section is no list of `u32`.
    CallbacksSize { bytes: usize },
    /// A callback is needed, or asked for by every host, and the module does not have it.
    MissingExport { name: &'static str },
    /// A host could not hand over any bytes.
    NoAllocator,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAModule(why) => write!(f, "not a WebAssembly module: {why}"),
            Self::NoCallbacks => f.write_str(
                "no custom section `portcullis.callbacks`: export the module's filters by `portcullis_adapter::export!`, \
                 and link each module once only",
            ),
            Self::CallbacksSize { bytes } => write!(
                f,
                "the custom section `portcullis.callbacks` has {bytes} bytes, which is no list of u32; was it written by \
                 another version of the adapter?"
            ),
            Self::MissingExport { name } => write!(
                f,
                "the module does not export `{name}`, which it needs; build it as a cdylib, with \
                 `portcullis_adapter::export!` in it"
            ),
            Self::NoAllocator => f.write_str(
                "the module exports neither `proxy_on_memory_allocate` nor `malloc`; build it with proxy-wasm 0.2.5 or later",
            ),
        }
    }
}

impl Error for LinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotAModule(why) => Some(&**why),
            _ => None,
        }
    }
}
