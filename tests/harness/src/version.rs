//! Which Envoy the suites run on, for what an older one does not have.

use std::fmt;
use std::process::Command;

/// Envoy's version: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// The first with `envoy.filters.http.filter_chain`. An older one refuses a configuration that names it.
    pub const WITH_FILTER_CHAIN: Self = Self(1, 39, 0);

    /// The first whose tracers can be kept from writing headers (`tracing.no_context_propagation`).
    pub const WITH_SILENT_TRACERS: Self = Self(1, 38, 0);

    /// The version of the binary that `ENVOY` names. Panics where it names none, or none that tells.
    pub fn of_envoy() -> Self {
        let binary = std::env::var_os("ENVOY").expect("ENVOY names no Envoy binary");
        let told = Command::new(binary).arg("--version").output().unwrap();
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        Self::read(&told).unwrap_or_else(|| panic!("no version in {told:?}"))
    }

    /// What `--version` prints: `… version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
    fn read(told: &str) -> Option<Self> {
        let (_, build) = told.split_once("version: ")?;
        let number = build.split('/').nth(1)?;
        let (number, _) = number.split_once('-').unwrap_or((number, ""));
        let mut parts = number.split('.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??, parts.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn what_envoy_tells_of_itself_has_its_version() {
        let told = "\n/opt/1.2.3/envoy  version: 9e55809/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(Version::read(told), Some(Version(1, 40, 0)));
        let told = "envoy  version: 9e55809/1.41.0-dev/Modified/DEBUG/BoringSSL";
        assert_eq!(Version::read(told), Some(Version(1, 41, 0)));
        assert_eq!(Version::read("bash 5.2/x"), None);
    }

    #[test]
    fn versions_are_in_the_order_of_their_numbers() {
        assert!(Version(1, 9, 9) < Version(1, 39, 0) && Version(1, 39, 0) < Version(1, 39, 3));
    }
}
