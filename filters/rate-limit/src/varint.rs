//! Numbers of seven bits a byte, least significant first (LEB128): most counts take one.

/// Appends a number.
#[inline]
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number from the front. `None` if there is none.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    if let Some((&byte @ ..0x80, rest)) = bytes.split_first() {
        *bytes = rest;
        return Some(u64::from(byte));
    }
    take_long(bytes)
}

fn take_long(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn numbers_come_back_and_what_is_none_is_refused() {
        for value in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            put(&mut bytes, 7);
            let mut rest = bytes.as_slice();
            assert_eq!((take(&mut rest), take(&mut rest)), (Some(value), Some(7)));
            assert!(rest.is_empty());
        }
        for broken in [&[][..], &[0x80], &[0xff; 11]] {
            assert_eq!(take(&mut &*broken), None, "{broken:?}");
        }
    }
}
