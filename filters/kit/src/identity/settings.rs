//! What a user writes of identities.

use crate::config::Setting;

/// A source of identities.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A claim of a token that an earlier filter verified.
    JwtClaim(Claim),
    /// A request header.
    Header(IdentityHeader),
    /// The client's address as the listener sees it (`use_remote_address`, `xff_num_trusted_hops`).
    ClientAddress(ClientAddress),
}

/// A claim of a verified token, or any other dynamic metadata of an earlier filter.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The namespace of the metadata. Default: `envoy.filters.http.jwt_authn`.
    #[serde(default = "jwt_authn")]
    pub metadata: String,
    /// The keys that lead to the value; with jwt_authn, its `payload_in_metadata` and the claim.
    pub path: Vec<String>,
}

/// Where Envoy's own filter puts the claims of tokens that it verified.
pub const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";

fn jwt_authn() -> String {
    JWT_AUTHN.to_owned()
}

/// A request header that says who asks.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IdentityHeader {
    /// The header's name.
    pub name: String,
    /// Whether the value is a credential that nobody can guess, such as an API key. It counts without the scheme
    /// `Bearer` or `Basic`.
    /// Default: false.
    #[serde(default)]
    pub hash: bool,
    /// Whether an earlier filter sets the header and removes the client's own. Default: false.
    #[serde(default)]
    pub trusted: bool,
    /// Whether only keys listed in `tier.from[].api_keys` of this header are identities: else everybody can make up new ones.
    /// Default: false.
    #[serde(default)]
    pub listed_only: bool,
}

/// The client's address, cut to a network.
#[derive(Clone, Debug, Setting)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ClientAddress {
    /// How many bits of an IPv4 address count. Default: 32.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address count. Default: 64, what one subscriber usually has.
    pub ipv6_prefix: u8,
}

impl Default for ClientAddress {
    fn default() -> Self {
        Self {
            ipv4_prefix: 32,
            ipv6_prefix: 64,
        }
    }
}
