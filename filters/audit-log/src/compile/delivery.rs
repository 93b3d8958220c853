//! Where records go, and how.

use std::rc::Rc;

use portcullis_kit::config::Secret;
use portcullis_kit::export::settings::{Http, Overflow};
use portcullis_kit::export::{Plan, SinkSettings};
use portcullis_kit::metrics::MetricId;
use portcullis_kit::{Compiling, Path};

use super::{Mistake, Result, key_id, refuse};
use crate::emission::{Emission, Encoding, RESTART, UNWRITTEN};
use crate::redact::{MIN_KEY_BYTES, Signer};
use crate::settings::{Delivery, HmacKey, Settings, Sink};

#[inline(never)]
pub fn emission(settings: &Settings, compiling: &Compiling<'_>) -> Result<Emission> {
    let here = || Path::top().key("sinks");
    match settings.sinks.len() {
        0 => return refuse(here(), Mistake::NoSinks),
        1 | 2 => {}
        _ => return refuse(here().index(2), Mistake::ManySinks),
    }
    let servers: Vec<Option<Http>> = settings.sinks.iter().map(server).collect();
    let mut logs = false;
    let mut unlogged = [MetricId(None); 2];
    let mut access_log = None;
    let mut targets = Vec::new();
    let mut encodings = Vec::new();
    for (at, (sink, server)) in settings.sinks.iter().zip(&servers).enumerate() {
        let here = || here().index(at);
        let kind = std::mem::discriminant(sink);
        let mut before = settings.sinks.iter().take(at);
        if before.any(|other| std::mem::discriminant(other) == kind) {
            return refuse(here(), Mistake::SinkTwice);
        }
        let (name, encoding, path) = match sink {
            Sink::Log(_) => {
                logs = true;
                unlogged = [
                    compiling.gauge("records_sink_down", &[("sink", "log")]),
                    compiling.counter("records_dropped", &[("reason", UNWRITTEN)]),
                ];
                continue;
            }
            Sink::AccessLog(_) => {
                let labels = [("reason", UNWRITTEN)];
                access_log = Some(compiling.counter("records_dropped", &labels));
                continue;
            }
            Sink::Otlp(_) => ("otlp", Encoding::Otlp, "/v1/logs"),
            Sink::Webhook(webhook) => {
                let here = || here().key("webhook").key("sign_with");
                let signer = signer(webhook.sign_with.as_ref(), compiling, here)?;
                ("webhook", Encoding::Webhook(webhook.body, signer), "/")
            }
        };
        if let Some(http) = server {
            targets.push(SinkSettings {
                name,
                http,
                path,
                at: here().key(name),
            });
            encodings.push(encoding);
        }
    }
    let plan = if targets.is_empty() {
        if settings.delivery.is_some() {
            return refuse(Path::top().key("delivery"), Mistake::NoHttpSink);
        }
        None
    } else {
        let delivery = settings.delivery.clone().unwrap_or_default();
        if (logs || access_log.is_some()) && delivery.queue.overflow == Overflow::Deny {
            let path = Path::top().key("delivery").key("queue").key("overflow");
            return refuse(path, Mistake::NothingToDeny);
        }
        Some(Rc::new(plan(&delivery, &targets, compiling)?))
    };
    let chain = &settings.chain;
    let here = || Path::top().key("chain");
    let key = match &chain.key {
        Some(_) if !chain.sealed => return refuse(here().key("key"), Mistake::UnsealedKey),
        Some(key) => Some(chain_key(key, compiling, || here().key("key"))?),
        None => None,
    };
    if !(1..=1_000_000).contains(&chain.checkpoint_records) {
        return refuse(here().key("checkpoint_records"), Mistake::CheckpointRecords);
    }
    if !(1..=86_400).contains(&chain.checkpoint_seconds) {
        return refuse(here().key("checkpoint_seconds"), Mistake::CheckpointSeconds);
    }
    Ok(Emission {
        logs,
        unlogged,
        access_log,
        plan,
        encodings,
        lost: compiling.counter("records_dropped", &[("reason", RESTART)]),
        format: settings.format,
        sealed: chain.sealed,
        key,
        checkpoint_records: chain.checkpoint_records.into(),
        checkpoint_ms: u64::from(chain.checkpoint_seconds) * 1000,
        last_checkpoint: compiling.gauge("last_checkpoint_seconds", &[]),
        fingerprint: compiling.environment().configuration().map(Into::into),
    })
}

/// The server that a sink is, if it is one.
fn server(sink: &Sink) -> Option<Http> {
    match sink {
        Sink::Log(_) | Sink::AccessLog(_) => None,
        Sink::Otlp(http) => Some(http.clone()),
        Sink::Webhook(webhook) => Some(webhook.server()),
    }
}

fn signer(
    secret: Option<&Secret>,
    compiling: &Compiling<'_>,
    here: impl Fn() -> Path,
) -> Result<Option<Signer>> {
    let Some(secret) = secret else {
        return Ok(None);
    };
    let secret = secret.resolve(compiling.environment(), here())?;
    match Signer::new(secret.as_bytes()) {
        Some(signer) => Ok(Some(signer)),
        None => refuse(here(), Mistake::ShortKey(secret.len())),
    }
}

fn plan(
    delivery: &Delivery,
    targets: &[SinkSettings<'_>],
    compiling: &Compiling<'_>,
) -> Result<Plan> {
    let here = || Path::top().key("delivery");
    Plan::compile(
        compiling,
        "records",
        targets,
        delivery.ack,
        (&delivery.batch, &delivery.queue, &delivery.retry),
        &here(),
    )
}

fn chain_key(
    key: &HmacKey,
    compiling: &Compiling<'_>,
    here: impl Fn() -> Path,
) -> Result<audit_chain::Key> {
    key_id(&key.id, &here)?;
    let secret = key
        .secret
        .resolve(compiling.environment(), here().key("secret"))?;
    match audit_chain::Key::new(&key.id, secret.as_bytes()) {
        Ok(key) => Ok(key),
        Err(_) => {
            debug_assert!(secret.len() < MIN_KEY_BYTES);
            refuse(here().key("secret"), Mistake::ShortKey(secret.len()))
        }
    }
}
