//! Names of classes, and what runtimes say about a program's own mistakes.

use super::scan::{Make, Spans, Text, is_among, is_field, messages};

/// What runtimes write, by how it begins and, where that is English too, what follows; the line goes from there. In the
/// order of the first letter.
const MISTAKES: [(&str, &str); 43] = [
    ("\" because \"", " is null"),
    ("'nonetype' object", ""),
    ("' object has no attribute", ""),
    ("() missing ", "required positional argument"),
    ("array index out of bounds", ""),
    ("assertion failed: ", "!="),
    ("assertion failed: ", "("),
    ("assertion failed: ", "::"),
    ("assertion failed: ", "=="),
    ("assertion failed: ", " < "),
    ("assertion failed: ", " > "),
    ("assertion failed: ", "_"),
    ("attempted to read or write protected memory", ""),
    ("call to a member function", ""),
    ("call to undefined ", ""),
    ("cannot assign field \"", ""),
    ("cannot invoke \"", ""),
    ("cannot load from ", "array"),
    ("cannot read field \"", ""),
    ("cannot read propert", " of null"),
    ("cannot read propert", " of undefined"),
    ("cannot set propert", " of null"),
    ("cannot set propert", " of undefined"),
    ("cannot store to ", "array"),
    ("httpconnectionpool(", ""),
    ("httpsconnectionpool(", ""),
    ("index out of range [", ""),
    ("invalid literal for int() with base", ""),
    ("invalid memory address", ""),
    ("list index out of range", ""),
    ("name '", "' is not defined"),
    ("no module named ", ""),
    ("object reference not set", ""),
    ("object variable or with block", ""),
    ("strconv.", ": parsing "),
    ("target class [", ""),
    ("trying to access array offset", ""),
    ("trying to get property", ""),
    ("undefined array key", ""),
    ("undefined index:", ""),
    ("undefined method", ""),
    ("undefined property:", ""),
    ("unsupported operand type", ""),
];

/// What stands before the name of a type.
const BEFORE: [&str; 10] = [
    " type ",
    "class ",
    "converted to ",
    "cast to ",
    "instance of ",
    "interface ",
    "struct ",
    "struct field ",
    "token ",
    "enum ",
];
/// Where Go names a type or a field of one, whatever its letters.
const GO: [&str; 2] = ["struct field ", "go value of type "];
/// Parts of names that only a program's tree has, and those that the name of a type ends with.
const NAMESPACES: &str = " Api Application Commands Common Contracts Controllers Core Domain Dto Dtos Entities Exceptions Handlers \
Infrastructure Internal Models Persistence Queries Repositories Requests Responses Services Shared ViewModels ";
const TYPES: [&str; 18] = [
    "Command",
    "Context",
    "Controller",
    "Converter",
    "Dto",
    "Entity",
    "Error",
    "Exception",
    "Factory",
    "Handler",
    "Impl",
    "Model",
    "Query",
    "Repository",
    "Request",
    "Response",
    "Service",
    "Validator",
];

/// Qualified names: `com.example.Foo`, `System.IO.FileNotFoundException`, `ActiveRecord::RecordNotFound`,
/// `App\Models\User`, `requests.exceptions.ConnectionError`, `Acme.Billing.Models.Order`; in sentences also
/// `NullPointerException` and what stands where a type is named.
pub fn classes(text: &Text<'_>, spans: &mut Spans) {
    messages(text, &MISTAKES, &|_, _| true, Text::line_end, spans);
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$:\\".contains(&byte);
    let mut at = 0;
    while at < text.len() {
        let from = text.run_fast(at, |byte| !is_part(byte));
        let end = text.run_fast(from, is_part);
        at = end.max(from + 1);
        let to = text.run_back(from, end, &|byte| b".:\\".contains(&byte));
        // Within an address there are hosts and paths, which are others' matter.
        let in_path =
            matches!(text.before(from), b'/' | b'@' | b'#' | b'-') || text.at(end) == b'/';
        let name = text.slice(from, to);
        let called =
            from < to && (text.is_at(to, "() missing ") || text.is_at(to, " is not a function"));
        if !in_path && (called || is_qualified(name) || is_type(text, from, to)) {
            spans.add(from, to);
        }
    }
}

fn starts_upper(part: &[u8]) -> bool {
    part.first().is_some_and(u8::is_ascii_uppercase)
}

/// `OrderRequest`: a capital first, and small letters.
fn is_pascal(part: &[u8]) -> bool {
    starts_upper(part) && part.iter().any(u8::is_ascii_lowercase)
}

/// More than one word: `OrderRequest`, `PDOException`.
fn is_compound(part: &[u8], suffix: &str) -> bool {
    part.strip_suffix(suffix.as_bytes())
        .is_some_and(|stem| starts_upper(stem) && stem.len() > 1)
}

/// Whether a name is a type's by what it is made of, or by the words around it.
fn is_type(text: &Text<'_>, from: usize, to: usize) -> bool {
    let name = text.slice(from, to);
    // `$.Customer.Address` leads to a field.
    let bare = name.strip_prefix(b"$.").unwrap_or(name);
    let (mut count, mut pascal, mut upper) = (0usize, true, false);
    let (mut first, mut last): (&[u8], &[u8]) = (b"", b"");
    let mut known = false;
    for part in bare.split(|byte| *byte == b'.') {
        let begins = part
            .first()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        if !begins || part.contains(&b':') || part.contains(&b'\\') {
            return false;
        }
        if count == 0 {
            first = part;
        }
        known |= is_pascal(part) && is_among(NAMESPACES, part);
        pascal &= is_pascal(part);
        upper |= starts_upper(part);
        last = part;
        count += 1;
    }
    if !upper && count < 2 {
        return false;
    }
    let is_named_type = TYPES.iter().any(|suffix| is_compound(last, suffix));
    if text.is_name() {
        return pascal && (count >= 3 && (known || is_named_type) || count > 4);
    }
    if count == 1 {
        return ["Error", "Exception"]
            .iter()
            .any(|suffix| is_compound(last, suffix));
    }
    let led = |words: &[&str]| {
        let quote = usize::from(matches!(text.before(from), b'\'' | b'"' | b'`' | b'<'));
        let at = from - quote;
        words.iter().any(|word| {
            at.checked_sub(word.len())
                .is_some_and(|start| text.is_at(start, word))
        })
    };
    let constant =
        starts_upper(last) && !last.iter().any(u8::is_ascii_lowercase) && last.contains(&b'_');
    let generic = text.before(from) == b'[' && text.at(from.saturating_sub(3)) == b'`';
    count >= 3
        && pascal
        && bare.len() == name.len()
        && (known || is_named_type || !is_field(text, from, to))
        || pascal && (known || is_named_type)
        || is_pascal(first) && (text.at(to) == b'(' || constant && Make::of(first).lower)
        || generic
        || led(&GO)
        || is_pascal(last) && led(&BEFORE)
}

fn is_qualified(name: &[u8]) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let around = |separator: &[u8]| {
        name.windows(separator.len() + 2).any(|part| match part {
            [before, within @ .., after] => {
                within == separator
                    && (letter(*before) || before.is_ascii_digit())
                    && letter(*after)
            }
            _ => false,
        })
    };
    if around(b"::") || (starts_upper(name) && around(b"\\")) {
        return true;
    }
    let mut parts = name.split(|byte| *byte == b'.');
    let first = parts.next().unwrap_or_default();
    let dotnet = [
        &b"System"[..],
        b"Microsoft",
        b"Newtonsoft",
        b"EntityFramework",
        b"Npgsql",
    ]
    .contains(&first);
    let (mut count, mut long, mut upper) = (1usize, first.len() > 1, false);
    let mut last = first;
    for part in parts {
        if !part.first().is_some_and(|first| letter(*first)) {
            return false;
        }
        upper |= starts_upper(part) && count >= 2 && !starts_upper(first);
        long |= part.len() > 1 && !starts_upper(part);
        count += 1;
        last = part;
    }
    let exception = last.ends_with(b"Error") || last.ends_with(b"Exception");
    let known = (dotnet || exception)
        && count >= 2
        && starts_upper(last)
        && first.first().is_some_and(|first| letter(*first));
    known || (upper && long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::scan::is_in_order;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn mistakes_stand_in_the_order_of_their_first_characters() {
        assert!(is_in_order(&MISTAKES, |mistake| mistake.0));
    }
}
