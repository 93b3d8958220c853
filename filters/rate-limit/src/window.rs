//! Windows and offsets as users write them.

/// A limit's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Of this length in milliseconds.
    Length(u64),
    /// A month of the calendar.
    Month,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;
/// Longer ones would outlive every proxy.
const MAX: u64 = 366 * DAY;

impl Window {
    /// `90s`, `5m`, `2h`, `1d`, or `second`, `minute`, `hour`, `day`, `month`.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = |name: &str| match name {
            "s" | "second" => Some(SECOND),
            "m" | "minute" => Some(MINUTE),
            "h" | "hour" => Some(HOUR),
            "d" | "day" => Some(DAY),
            _ => None,
        };
        if text == "month" {
            return Some(Self::Month);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, name) = text.split_at_checked(digits)?;
        // A word is one of it, a number needs a letter.
        let count: u64 = match (number, name.len()) {
            ("", 2..) => 1,
            (number, 1) => number.parse().ok()?,
            _ => return None,
        };
        let length = unit(name)?.checked_mul(count)?;
        (1..=MAX).contains(&length).then_some(Self::Length(length))
    }

    /// For comparing: about how long it is.
    pub fn about_ms(self) -> u64 {
        match self {
            Self::Length(length) => length,
            Self::Month => 30 * DAY,
        }
    }

    /// The unit that metadata names it by, where it is one.
    pub fn unit(self) -> Option<&'static str> {
        Some(match self {
            Self::Length(SECOND) => "second",
            Self::Length(MINUTE) => "minute",
            Self::Length(HOUR) => "hour",
            Self::Length(DAY) => "day",
            Self::Month => "month",
            Self::Length(_) => return None,
        })
    }
}

/// `+02:00` in milliseconds, at most 14 hours either way.
pub fn offset_ms(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes() {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let [a, b, b':', c, d] = rest else {
        return None;
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let hours = digit(a)? * 10 + digit(b)?;
    let minutes = digit(c)? * 10 + digit(d)?;
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 14 * 60).then_some(sign * total * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_window_is_a_number_with_a_letter_or_a_word() {
        for (text, expected) in [
            ("90s", Some(90_000)),
            ("1m", Some(60_000)),
            ("minute", Some(60_000)),
            ("2h", Some(7_200_000)),
            ("day", Some(DAY)),
            ("366d", Some(366 * DAY)),
        ] {
            assert_eq!(Window::parse(text), expected.map(Window::Length), "{text}");
        }
        assert_eq!(Window::parse("month"), Some(Window::Month));
        for bad in [
            "",
            "s",
            "0s",
            "60",
            "1 m",
            "1min",
            "2minute",
            "367d",
            "-1s",
            "1.5h",
            "99999999999999999999d",
        ] {
            assert_eq!(Window::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_offset_has_a_sign_hours_and_minutes() {
        assert_eq!(offset_ms("+02:00"), Some(7_200_000));
        assert_eq!(offset_ms("-03:30"), Some(-12_600_000));
        assert_eq!(offset_ms("+00:00"), Some(0));
        for bad in [
            "", "02:00", "+2:00", "+15:00", "+14:01", "+02:60", "+0200", "Z",
        ] {
            assert_eq!(offset_ms(bad), None, "{bad}");
        }
    }
}
