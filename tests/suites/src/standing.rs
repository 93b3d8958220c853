//! What a response's headers say of limits, read by a parser of structured fields that is not ours.

use std::collections::BTreeMap;

use portcullis_harness::Response;
use sfv::{BareItem, List, ListEntry, Parser};

/// The members of a list of strings with parameters, by their strings. Numbers only; other parameters as -1.
pub type Members = BTreeMap<String, BTreeMap<String, i64>>;

/// `RateLimit` or `RateLimit-Policy` of a response. Panics if it is not there once, or is not such a list.
#[track_caller]
pub fn field(response: &Response, name: &str) -> Members {
    let value = response.header(name);
    let value = value.unwrap_or_else(|| panic!("no {name}:\n{response}"));
    members(&value)
}

/// Panics if it is not a list of strings with parameters.
#[track_caller]
pub fn members(value: &str) -> Members {
    let list: List = Parser::new(value)
        .parse()
        .unwrap_or_else(|error| panic!("{value}: {error}"));
    let member = |entry: ListEntry| {
        let ListEntry::Item(item) = entry else {
            panic!("{value}: a list in the list")
        };
        let BareItem::String(name) = item.bare_item else {
            panic!("{value}: not a string")
        };
        let parameters = item.params.into_iter().map(|(key, value)| {
            let number = match value {
                BareItem::Integer(number) => i64::from(number),
                _ => -1,
            };
            (key.as_str().to_owned(), number)
        });
        (name.as_str().to_owned(), parameters.collect())
    };
    list.into_iter().map(member).collect()
}
