//! XML errors of AWS and Azure: `<Error><Code>…</Code><Message>…</Message></Error>`, in `<ErrorResponse>` or alone.
//!
//! Not an XML parser: it finds the first `Code` and `Message` elements that hold only text. With a document type there
//! are entities, and it reads nothing.

use serde_json::Value;

use super::{Found, Said, text, word};

pub fn read(body: &[u8]) -> Found {
    let body = String::from_utf8_lossy(body);
    if body.contains("<!DOCTYPE") || body.contains("<!ENTITY") || !body.contains("<Error") {
        return Found::Unknown;
    }
    let mut said = Said::new("aws-xml");
    said.code = element(&body, "<Code>").and_then(|code| error_type(code.as_bytes()));
    said.message = element(&body, "<Message>")
        .or_else(|| element(&body, "<message>"))
        .and_then(|message| text(&Value::String(message)));
    Found::of(said)
}

/// The code in an AWS error type: of `com.amazonaws.dynamodb#ThrottlingException:http://…`, as in `__type` and the
/// header `x-amzn-errortype`, what names the error.
pub fn error_type(value: &[u8]) -> Option<String> {
    let value = std::str::from_utf8(value).ok()?.trim();
    let name = value.rsplit_once('#').map_or(value, |(_, name)| name);
    word(name.split(':').next().unwrap_or_default())
}

/// The text of the first element that begins with this tag.
fn element(body: &str, tag: &str) -> Option<String> {
    let (_, rest) = body.split_once(tag)?;
    let (text, end) = rest.split_once('<')?;
    end.starts_with('/').then(|| unescape(text))
}

/// The five entities of XML and references by number; others stay as they are.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        // No name is longer: what looks further would read a long text once for each `&`.
        let end = after.bytes().take(10).position(|byte| byte == b';');
        let found = end.and_then(|end| Some((entity(after.get(..end)?)?, after.get(end + 1..)?)));
        match found {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}
