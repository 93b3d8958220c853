//! What is said about secrets, by which a sentence is told from a value.

use super::scan::{Text, is_among_in_any_case};

/// Words that follow a secret's name in a sentence about it, one space apart.
const SENTENCE: &str = " must should is are was has have may can cannot the this that a an not no does do did too at please \
field value expected your you only contains contain needs need requires require will ensure enter either both minimum \
maximum string for from in of to and or with was were be been mismatch expired invalid missing required revoked \
malformed unknown null none undefined empty incorrect wrong blank unexpected unsupported true false bearer basic \
optional ok rejected denied exceeded absent corrupt corrupted inactive disabled weak unauthorized forbidden failed \
verification validation signature account audience issuer passwords token user length characters already could would it its if when use falsch erforderlich fehlt abgelaufen incorrecta incorrecto requerida requis obligatoire min max ";
/// Words of demands: what stands before one is no secret.
const MODALS: [&[u8]; 5] = [b"must", b"should", b"cannot", b"may", b"needs"];
/// What is counted in demands, as it begins.
const UNITS: [&str; 6] = ["char", "digit", "zeichen", "carac", "letter", "symbol"];

/// Whether a sentence begins here.
pub fn is_said(text: &Text<'_>, from: usize) -> bool {
    is_sentence(text, from) || are_words(text, from) || is_size(text, from)
}

/// `8-64 characters`, `min 8 digits`, `mindestens 8 Zeichen`.
fn is_size(text: &Text<'_>, from: usize) -> bool {
    let number = |at| text.run_while(at, &|byte| byte.is_ascii_digit() || byte == b'-');
    let word = text.letters(from);
    let first = if word > from { word + 1 } else { from };
    let end = number(first);
    end > first && text.at(end) == b' ' && UNITS.iter().any(|unit| text.is_at(end + 1, unit))
}

/// Letters, and not of ASCII alone, behind digits at most: what languages other than English say of secrets in one word.
pub fn are_foreign_letters(value: &[u8]) -> bool {
    let digits = value.iter().position(|byte| !byte.is_ascii_digit());
    let letters = value
        .get(digits.unwrap_or(value.len())..)
        .unwrap_or_default();
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    // From Thai on no space ends a word.
    let dense = value.first().is_some_and(|first| *first >= 0xe0)
        && !value.iter().any(u8::is_ascii_alphabetic);
    dense || letters.iter().all(is_letter) && !letters.is_ascii()
}

/// Whether what stands here goes on about the secret, rather than being it.
pub fn is_sentence(text: &Text<'_>, from: usize) -> bool {
    let to = text.letters(from);
    let word = text.slice(from, to);
    let ends = !matches!(
        text.at(to),
        b'0'..=b'9' | b'_' | b'-' | b'=' | b'/' | b'@' | b'#' | b'$' | b'!'
    );
    ends && is_about_bytes(word)
}

/// Whether this is a word of those that are said about secrets, and values.
pub fn is_about(word: &str) -> bool {
    is_among_in_any_case(SENTENCE, word.as_bytes())
}

fn is_about_bytes(word: &[u8]) -> bool {
    is_among_in_any_case(SENTENCE, word)
}

/// Whether two words stand here, as a sentence begins: `Invalid credentials: mailbox full`. Where the second one says something
/// of a secret, the first one is it: `password: swordfish rejected`.
fn are_words(text: &Text<'_>, from: usize) -> bool {
    let letters = |at| text.letters(at);
    let space = letters(from);
    let end = letters(space + 1);
    let (first, second) = (text.slice(from, space), text.slice(space + 1, end));
    let small = first.get(1..).unwrap_or_default();
    text.at(space) == b' '
        && !first.is_empty()
        && small.iter().all(u8::is_ascii_lowercase)
        && !second.is_empty()
        && (!second.iter().any(u8::is_ascii_uppercase) || is_noun(text, end, second))
        && matches!(text.at(end), 0 | b' ' | b'.' | b',' | b';')
        && (!is_about_bytes(second) || MODALS.contains(&second))
}

/// Whether a word with a capital, which ends here, is German's noun: `Das Passwort ist zu kurz`.
fn is_noun(text: &Text<'_>, end: usize, word: &[u8]) -> bool {
    let small = word.get(1..).unwrap_or_default();
    small.iter().all(u8::is_ascii_lowercase)
        && text.at(end) == b' '
        && text.at(end + 1).is_ascii_lowercase()
}
