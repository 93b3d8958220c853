//! The forms in which a record is written.

pub mod native;
mod time;
