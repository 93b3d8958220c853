//! The host's randomness, through WASI's `random_get` on both targets.

/// On wasm32-unknown-unknown getrandom has no source of its own; every proxy-wasm host offers WASI's.
#[cfg(target_os = "unknown")]
mod source {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        fn random_get(buffer: *mut u8, size: usize) -> u16;
    }

    // SAFETY: getrandom's documented hook for its custom backend; it fills the whole buffer or reports an error.
    #[unsafe(no_mangle)]
    unsafe extern "Rust" fn __getrandom_v03_custom(
        buffer: *mut u8,
        size: usize,
    ) -> Result<(), getrandom::Error> {
        // SAFETY: the caller passes a buffer of `size` writable bytes.
        match unsafe { random_get(buffer, size) } {
            0 => Ok(()),
            _ => Err(getrandom::Error::UNSUPPORTED),
        }
    }
}

/// Whether the host gives random bytes. Asked at configure time: without them no configuration is accepted, so that
/// no id or nonce is ever guessable.
pub fn is_available() -> bool {
    getrandom::fill(&mut [0; 8]).is_ok()
}

pub fn fill(out: &mut [u8]) {
    // A host that gave bytes at configure time gives them now; if not, the buffer stays as the caller made it.
    let _ = getrandom::fill(out);
}
