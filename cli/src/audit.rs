//! Audit records as a person asks for them: by keys and heads, by what they say, as lines of a table.

pub mod known;
pub mod query;
pub mod reading;
pub mod table;
pub mod when;
