//! An in-process proxy-wasm host that counts
