//! What only this filter's settings can have wrong.

use std::fmt;

use portcullis_kit::config::nearest;

use crate::flags::Flags;

#[derive(Debug)]
pub enum Mistake {
    NoRules,
    CatchAll,
    Unreachable { by: usize },
    Method,
    Status(String),
    Flag(String),
    EmptyName,
    HeaderName,
    SecretHeader(String),
    SecretParameter(String),
    ParameterName,
    NamedTwice,
    HeadersUnused,
    NothingListed,
    BodiesUnused,
    SeesNoBodies,
    NoPlaces,
    Pointer,
    SecretMember(String),
    MaxBytes,
    MaxRecordedBytes,
    Template,
    NoTemplates,
    AddressIdentifiesNobody,
    NothingListedOnly,
    NoKey,
    UnusedKey,
    KeyId,
    ShortKey(usize),
    EmptyMetadata,
    OmittedTwice,
    NoSinks,
    ManySinks,
    SinkTwice,
    NoHttpSink,
    NothingToDeny,
    NothingAcknowledges,
    NothingReceived,
    ExemptsAll,
    StageOfNothing,
    EveryStage,
    NotAskedBefore,
    OnlyStage { waits: bool },
    NobodyWaits,
    UnsealedKey,
    CheckpointRecords,
    CheckpointSeconds,
    DiffersFromDefault { what: &'static str },
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRules => "the list is empty, so nothing is recorded; write `mode: off` if that is meant",
            Self::CatchAll => "this rule matches every request and hides those after it; say what it matches, or make it the last",
            Self::Unreachable { by } => {
                return write!(f, "`rules[{by}]` matches all that this rule matches, so it is never asked; put it before that one, or take it out");
            }
            Self::Method => "not a method; write it in capitals, such as `GET`",
            Self::Status(found) => {
                return write!(f, "`{found}` is no status; write a code from 100 to 599, as `\"404\"`, a class, as `5xx`, or `none`");
            }
            Self::Flag(found) => {
                write!(f, "`{found}` is no response flag")?;
                if let Some(near) = nearest(found, Flags::names()) {
                    write!(f, "; did you mean `{near}`?")?;
                }
                return write!(f, "; allowed: {}", Flags::names().join(", "));
            }
            Self::EmptyName => "the name is empty, and nothing has an empty one; take it out",
            Self::HeaderName => "not a header name (RFC 9110 section 5.1)",
            Self::SecretHeader(name) => {
                return write!(f, "`{name}` carries credentials and is never recorded, hashed neither; take it out");
            }
            Self::SecretParameter(name) => {
                return write!(f, "a parameter `{name}` carries a secret and is never recorded, hashed neither; take it out");
            }
            Self::ParameterName => "a parameter's name has 1 to 64 letters, digits and `_-.:[]`",
            Self::NamedTwice => "this name is in the list already; keep one",
            Self::HeadersUnused => "no rule has `level: headers` or `level: body`, so these are never recorded; set it in a rule, or take them out",
            Self::NothingListed => "no headers are listed under `headers`, so this records no more than `metadata`; list some, or write that",
            Self::BodiesUnused => "no rule has `level: body`, so these are never recorded; set it in a rule, or take them out",
            Self::SeesNoBodies => "audit_log.wasm is told of no bodies, which would cost every request; load portcullis.wasm, with `root_id: audit-log` if this filter is to run alone",
            Self::NoPlaces => "no values are listed under `bodies`, so this records no more than `headers`; list some, such as `request: [{pointer: /order/id}]`, or write that",
            Self::Pointer => "not a JSON pointer (RFC 6901) of printable ASCII; write `/order/id`, or `/items/*/sku` for each item of a list",
            Self::SecretMember(name) => {
                return write!(f, "a member `{name}` holds a secret and is never recorded, hashed neither; take it out");
            }
            Self::MaxBytes => "64 to 1048576 bytes of a body can be read",
            Self::MaxRecordedBytes => "64 to 65536 bytes of a body can be recorded",
            Self::Template => "not a path template; write `/users/{id}`, and `{name...}` only as the last segment",
            Self::NoTemplates => "with no `templates` no path would be recorded at all; name some, or take `unmatched` out",
            Self::AddressIdentifiesNobody => "an address alone makes nobody known, and `client_address` says how it is recorded; take this source out",
            Self::NothingListedOnly => "audit-log lists no keys; take `listed_only` out",
            Self::NoKey => "a hash without a key shows what it hides to whoever tries all values; set `hmac_key`",
            Self::UnusedKey => "nothing is hashed with it; take it out, or set `identity`, or `hashed` for what it is to hide",
            Self::KeyId => "a key id has 1 to 64 letters, digits, `.`, `_` and `-`",
            Self::ShortKey(bytes) => {
                return write!(f, "the key has {bytes} bytes and needs 32 or more, such as `openssl rand -hex 32` prints");
            }
            Self::EmptyMetadata => "the name is empty; write jwt_authn's `payload_in_metadata`",
            Self::OmittedTwice => "this part is in the list already; keep one",
            Self::NoSinks => "the list is empty, so records would go nowhere; name a sink, such as `log: {}`",
            Self::ManySinks => "there are at most two sinks; keep two",
            Self::SinkTwice => "there is a sink of this kind already; keep one",
            Self::NoHttpSink => "no sink is asked by HTTP, so this has no effect; name one under `sinks`, or take this out",
            Self::NothingToDeny => "the proxy's log takes every record, so there is always room for one; take the sink `log` out, or write `drop_oldest` or `drop_newest`",
            Self::NothingAcknowledges => "no sink says that it has a record, so every request would be refused; name `otlp`, `webhook` or `log` under `sinks`, or take this out",
            Self::NothingReceived => "no rule records anything before a request goes on (those with `statuses`, `flags` or `tiers` are passed over then), so no request would wait; add such a rule, or take this out",
            Self::ExemptsAll => "this exempts every request; name the paths that are not to wait, or take `fail_closed` out",
            Self::StageOfNothing => "a rule with `level: none` records nothing at any stage; take this out",
            Self::EveryStage => "with this the rule records nothing; write `level: none` if that is meant",
            Self::NotAskedBefore => "`statuses`, `flags` and `tiers` are known at the end only, so at RequestReceived this rule is passed over anyway; take this out",
            Self::OnlyStage { waits: true } => "`statuses`, `flags` and `tiers` are known at the end only, so with this the rule records nothing; write `level: none` if that is meant",
            Self::OnlyStage { waits: false } => "without `fail_closed` there is no other stage, so with this the rule records nothing; set that, or write `level: none`",
            Self::NobodyWaits => "RequestReceived is recorded only where requests wait for it, and none does; set `fail_closed`, or take this out",
            Self::UnsealedKey => "with `sealed: false` nothing is hashed with it; take it out, or seal the records",
            Self::CheckpointRecords => "a checkpoint is due after 1 to 1000000 records",
            Self::CheckpointSeconds => "a checkpoint is due after 1 to 86400 seconds",
            Self::DiffersFromDefault { what } => {
                return write!(f, "`{what}` belongs to the plugin as a whole and must be the same in all profiles; write it at the top only");
            }
        })
    }
}
