//! What a header of the response means to this filter, found by its name.
//!
//! Each header that is there is looked up once; names are sorted by length, so most lookups compare one or two names.

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A header with a rule, by its place among the rules.
    Ruled(usize),
    /// A header to remove, by its place among the removed names.
    Removed(usize),
    Status,
    SetCookie,
    ClearSiteData,
    Csp,
    CspReportOnly,
    Hsts,
    Vary,
    AllowOrigin,
    AllowCredentials,
}

/// Names with what they stand for.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// By length.
    by_length: Vec<Vec<(Box<[u8]>, Role)>>,
}

impl Lookup {
    /// `name` is in lower case. The first role of a name stays.
    pub fn insert(&mut self, name: &str, role: Role) {
        if self.by_length.len() <= name.len() {
            self.by_length.resize_with(name.len() + 1, Vec::new);
        }
        if self.find(name.as_bytes()).is_none()
            && let Some(bucket) = self.by_length.get_mut(name.len())
        {
            bucket.push((name.as_bytes().into(), role));
        }
    }

    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Role> {
        self.by_length
            .get(name.len())?
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, role)| *role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_name_is_found_without_its_case_and_keeps_its_first_role() {
        let mut lookup = Lookup::default();
        lookup.insert("vary", Role::Vary);
        lookup.insert("server", Role::Ruled(3));
        lookup.insert("server", Role::Removed(0));
        assert_eq!(lookup.find(b"Vary"), Some(Role::Vary));
        assert_eq!(lookup.find(b"SERVER"), Some(Role::Ruled(3)));
        assert_eq!(lookup.find(b"serves"), None);
        assert_eq!(lookup.find(b""), None);
        assert_eq!(lookup.find(&[b'a'; 500]), None);
    }
}
