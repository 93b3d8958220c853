//! Numbers of payment cards.

use super::scan::{ALPHANUMERIC, DIGITS, Spans, Text};

/// 14 to 19 digits, alone or in groups, that begin as cards of that length do and hold Luhn's check digit.
pub fn cards(text: &Text<'_>, spans: &mut Spans) {
    let mut at = 0;
    while at < text.len() {
        let from = text.run_fast(at, |byte| !byte.is_ascii_digit());
        let mut to = from;
        let mut digits = 0usize;
        loop {
            let end = text.run(to, &DIGITS);
            digits += end - to;
            to = end;
            let grouped = matches!(text.at(to), b' ' | b'-') && text.at(to + 1).is_ascii_digit();
            if !grouped || digits > 19 {
                break;
            }
            to += 1;
        }
        let alone = !ALPHANUMERIC.has(text.before(from)) && !ALPHANUMERIC.has(text.at(to));
        let begins = match (digits, text.at(from)) {
            (14 | 15, first) => first == b'3',
            (16..=19, first) => matches!(first, b'2'..=b'6'),
            _ => false,
        };
        if alone && begins && luhn(text.slice(from, to)) {
            spans.add(from, to);
        }
        at = to.max(from + 1);
    }
}

/// ISO/IEC 7812-1 annex B.
fn luhn(number: &[u8]) -> bool {
    let digits = number.iter().rev().filter(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .zip([false, true].into_iter().cycle())
        .map(|(byte, double)| {
            let digit = u32::from(byte - b'0');
            match digit * (1 + u32::from(double)) {
                two if two > 9 => two - 9,
                one => one,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}
