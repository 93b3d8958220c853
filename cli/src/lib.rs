//! The `portcullis` command: check, explain, schema, docs, render, generate, audit. It runs the filters' own code, natively.

mod audit;
pub mod check;
pub mod command;
mod diagnostic;
mod docs;
pub mod document;
pub mod explain;
mod find;
mod finding;
mod lint;
mod local_replies;
mod mistakes;
mod region;
pub mod registry;
pub mod render;
pub mod schema;
