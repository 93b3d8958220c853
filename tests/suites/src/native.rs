//! A scenario run by the filter's own code, without wasm and without a host.

use std::collections::BTreeMap;

use portcullis_kit::chain::Bundle;
use portcullis_kit::testing::{Bench, Fake};
use portcullis_kit::{Flow, Headers};

use crate::expect::Outcome;
use crate::scenario::{Scenario, ScenarioFile, bytes, lines};

type Line = (Vec<u8>, Vec<u8>);

/// What came of it, and the counters.
pub fn run<B: Bundle>(
    file: &ScenarioFile,
    scenario: &Scenario,
) -> (Outcome, BTreeMap<String, u64>) {
    let bench = Bench::<B>::load_with(&file.settings, &file.environment)
        .unwrap_or_else(|error| panic!("{}: {error}", file.name));
    let mut fake = request(file, scenario);
    let mut stream = B::Stream::default();
    let flow = bench.request(&mut fake, &mut stream);

    let received = (flow != Flow::Replied).then(|| fields(&fake.request));
    let (status, headers, body) = match fake.replies.last() {
        Some(reply) if flow == Flow::Replied => {
            let headers = reply
                .headers
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()));
            (reply.status, headers.collect(), reply.body.clone())
        }
        _ => (
            scenario.upstream.status,
            lines(&scenario.upstream.headers),
            bytes(&scenario.upstream.body),
        ),
    };
    let head = [(b":status".to_vec(), status.to_string().into_bytes())];
    fake.response = Headers::from_lines(head.into_iter().chain(lowered(headers)));
    bench.respond(&mut fake, &mut stream);
    bench.finish(&mut fake, &mut stream);

    let status = fake
        .response
        .get(":status")
        .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    let outcome = Outcome {
        status: status.unwrap_or_default(),
        upstream: received,
        response: fields(&fake.response),
        body: Some(body),
    };
    (outcome, fake.counts.take())
}

/// The request as a proxy hands it to a filter.
fn request(file: &ScenarioFile, scenario: &Scenario) -> Fake {
    let part = &scenario.request;
    let scheme = if file.tls { "https" } else { "http" };
    let pseudo = [
        (":method", part.method.as_str()),
        (":scheme", scheme),
        (":authority", part.host.as_str()),
        (":path", part.path.as_str()),
        ("x-forwarded-proto", scheme),
    ];
    let pseudo = pseudo.map(|(name, value)| (name.into(), bytes(value)));
    let mut fake = Fake::request(pseudo.into_iter().chain(lowered(lines(&part.headers))))
        .with_property("source.address", "127.0.0.1:40000");
    if file.tls {
        fake = fake
            .with_property("connection.tls_version", "TLSv1.3")
            .with_property("connection.subject_peer_certificate", "");
    }
    if !scenario.route.name.is_empty() {
        fake = fake.with_property("xds.route_name", &scenario.route.name);
    }
    if !scenario.route.metadata.is_empty() {
        let metadata = Headers::from_lines(&scenario.route.metadata).to_serialized();
        fake = fake.with_property("xds.route_metadata.filter_metadata.portcullis", metadata);
    }
    fake
}

/// A proxy writes names in lower case.
fn lowered(lines: Vec<Line>) -> impl Iterator<Item = Line> {
    lines
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
}

fn fields(headers: &Headers) -> Vec<Line> {
    let own = |(name, _): &(&[u8], &[u8])| !name.starts_with(b":");
    headers
        .iter()
        .filter(own)
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}
