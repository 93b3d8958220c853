//! Who emits: one worker of one start of one node.

use std::fmt::{self, Write as _};

/// `NODE/BOOT/WORKER`. No two chains may share one: the boot nonce is drawn anew whenever a chain cannot be continued.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Emitter(String);

impl Emitter {
    /// `node` is any text: what is not `[A-Za-z0-9._-]` in it is percent-encoded. `boot` are random bits.
    pub fn new(node: &str, boot: u64, worker: u32) -> Self {
        let mut text = String::new();
        for byte in node.bytes() {
            if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        let _ = write!(text, "/{boot:016x}/{worker}");
        Self(text)
    }

    /// An emitter as it was written by [`Emitter::new`].
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        (!text.is_empty() && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
