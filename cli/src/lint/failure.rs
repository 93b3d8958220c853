//! What a host does after a trap. Only with FAIL_RELOAD one request pays for it and the next ones are served.

use crate::diagnostic::Diagnostic;
use crate::document::{Node, Span};
use crate::find::{Document, Findings};
use crate::finding::Check;

const WANTED: &str = "FAIL_RELOAD";
const CLOSED: &str = "after one trap every request on that worker gets 503 for good";
const OPEN: &str = "after one trap the filter is silently gone on that worker";

/// `failure_policy` of `envoy.extensions.wasm.v3.PluginConfig`.
pub fn envoy(findings: &mut Findings, document: Document<'_>, config: &Node, place: Span) {
    let policy = config.at(&["failure_policy"]);
    let found = match policy.and_then(Node::text) {
        // Protobuf's JSON mapping takes an enum's number, too.
        Some(WANTED | "1") => return,
        Some("FAIL_OPEN" | "3") => fault(document, policy, place, OPEN),
        None if config.is_true(&["fail_open"]) => fault(document, None, place, OPEN),
        _ => fault(document, policy, place, CLOSED),
    };
    findings.report(found.help("write `failure_policy: FAIL_RELOAD` beside `vm_config`"));
}

/// `failStrategy` of Istio's WasmPlugin.
pub fn istio(findings: &mut Findings, document: Document<'_>, spec: &Node, place: Span) {
    let strategy = spec.at(&["failStrategy"]);
    let found = match strategy.and_then(Node::text) {
        Some(WANTED) => return,
        Some("FAIL_OPEN") => fault(document, strategy, place, OPEN),
        _ => fault(document, strategy, place, CLOSED),
    };
    findings
        .report(found.help("write `failStrategy: FAIL_RELOAD` in the spec (Istio 1.27 or later)"));
}

/// Envoy Gateway's policy cannot ask for FAIL_RELOAD: what it can do is left to the user, so this only warns.
pub fn gateway(findings: &mut Findings, document: Document<'_>, wasm: &Node, place: Span) {
    let open = wasm.is_true(&["failOpen"]);
    let message = if open { OPEN } else { CLOSED };
    let place = wasm.at(&["failOpen"]).map_or(place, |node| node.span);
    let found = document.warning(place, message).of(Check::Failure);
    let found = match open {
        // Envoy refuses a plugin that has both.
        true => found.help("take `failOpen` out"),
        false => found,
    };
    findings.report(found.help(
        "EnvoyExtensionPolicy cannot ask for FAIL_RELOAD; set the filter's `failure_policy` by an EnvoyPatchPolicy",
    ));
}

fn fault(document: Document<'_>, policy: Option<&Node>, place: Span, message: &str) -> Diagnostic {
    document
        .error(
            policy.map_or(place, |node| node.span),
            format!("no {WANTED}: {message}"),
        )
        .of(Check::Failure)
}
