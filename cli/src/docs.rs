//! `portcullis docs`: the table of a filter's options in Markdown, from the types it reads.

mod region;
mod table;

pub use region::{Drift, renew};
pub use table::table;
