//! Percent-encoding (RFC 3986 section 2.1), to bytes: a target can name any header value.

/// Decodes `%xx`; what is not an encoding stays as it is.
pub fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        match after {
            [high, low, tail @ ..] if first == b'%' => {
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    out.push(high * 16 + low);
                    rest = tail;
                    continue;
                }
                out.push(first);
            }
            _ => out.push(first),
        }
        rest = after;
    }
    out
}

/// Encodes every byte that is not unreserved, so that the result can stand anywhere in a target.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()), all);
    }

    #[test]
    fn what_is_no_encoding_stays() {
        assert_eq!(decode(b"%zz%4%"), b"%zz%4%");
    }
}
