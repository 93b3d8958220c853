//! The `portcullis` command: check, schema, docs. It runs the filters' own code, natively.

pub mod check;
pub mod command;
mod diagnostic;
mod docs;
pub mod document;
mod find;
mod lint;
mod mistakes;
pub mod registry;
pub mod schema;
