//! From a file's text to trees whose every node knows where it stands.

mod embedded;
mod locate;
mod node;
mod scalar;
mod source;
mod yaml;

pub use embedded::{embedded, place_in, without_surrogates};
pub use locate::{Pointer, locate, path_at};
pub use node::{Entry, Kind, Node, Scalar};
pub use scalar::{Dialect, to_value};
pub use source::{Pos, Source, Span};
#[cfg(test)]
pub use yaml::read;
pub use yaml::{Fault, read_all};
