//! request-tracing as a module of its own.
//!
//! `request-tracing` is compiled for size, as most of it runs when settings are loaded. What a request runs is generic, or
//! `#[inline]`, and so compiled here, for speed.

#[cfg(all(target_os = "wasi", feature = "module"))]
portcullis_adapter::export!(portcullis_kit::plugin::Plugin<request_tracing::RequestTracing>);
