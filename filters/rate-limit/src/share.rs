//! For which clients a limit is enforced that is so for a share of them only.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// Whether this client is among the percentage for which the limit refuses. The hash has no key: all proxies choose the same
/// clients, before and after a restart, and the more the percentage grows, the more are added to them.
#[inline(never)]
pub fn is_enforced(percent: u8, limit: &str, identity: &[u8]) -> bool {
    let mut hasher = SipHasher13::new();
    hasher.write(identity);
    hasher.write(&[0]);
    hasher.write(limit.as_bytes());
    hasher.finish() % 100 < u64::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_larger_share_holds_the_smaller_one_and_each_is_about_what_it_says() {
        let chosen = |percent: u8| -> Vec<u32> {
            let all = 0..10_000_u32;
            all.filter(|client| is_enforced(percent, "minute", &client.to_le_bytes()))
                .collect()
        };
        let (tenth, half) = (chosen(10), chosen(50));
        assert!((800..1_200).contains(&tenth.len()), "{}", tenth.len());
        assert!((4_700..5_300).contains(&half.len()), "{}", half.len());
        assert!(tenth.iter().all(|client| half.contains(client)));
        assert!(chosen(0).is_empty() && chosen(100).len() == 10_000);
    }

    #[test]
    fn all_proxies_choose_the_same_clients() {
        let chosen: Vec<u32> = (0..40)
            .filter(|client| is_enforced(10, "minute", format!("client-{client}").as_bytes()))
            .collect();
        assert_eq!(chosen, [4, 7, 8, 14, 39]);
    }
}
