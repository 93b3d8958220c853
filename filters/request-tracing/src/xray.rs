//! AWS X-Ray's `X-Amzn-Trace-Id` (X-Ray developer guide, "Tracing header").

use portcullis_kit::Headers;

use crate::context::{TraceContext, non_zero, trim_ows};
use crate::hex;
use crate::tracestate::TraceState;

pub const HEADER: &str = "x-amzn-trace-id";
/// What goes on as it came: `Lineage` counts how often a request went round through the same functions, so that AWS can
/// stop a loop; `Self` is a load balancer's own id.
const CARRIED: [(&[u8], &[u8]); 2] = [(b"lineage=", b";Lineage="), (b"self=", b";Self=")];
const MAX_CARRIED_LEN: usize = 128;

/// The context and the decision; `None` for the decision where the sender asks (`Sampled=?`) or says nothing.
///
/// A load balancer sends `Root` without `Parent`; the parent id is zero then. Fields of other names are
/// passed over.
pub fn extract(headers: &Headers) -> Option<(TraceContext, Option<bool>)> {
    let line = only_line(headers)?;
    let mut trace_id = None;
    let mut parent_id = [0; 8];
    let mut sampled = None;
    for field in line.split(|byte| *byte == b';') {
        let field = trim_ows(field);
        if let Some(root) = value(field, b"root=") {
            trace_id = Some(root_id(root)?);
        } else if let Some(parent) = value(field, b"parent=") {
            parent_id = non_zero(hex::decode_any_case(parent)?)?;
        } else if let Some(decision) = value(field, b"sampled=") {
            sampled = match decision {
                b"0" => Some(false),
                b"1" => Some(true),
                _ => None,
            };
        }
    }
    let context = TraceContext {
        trace_id: trace_id?,
        parent_id,
        flags: 0,
        tracestate: TraceState::default(),
    };
    Some((context, sampled))
}

/// `;Lineage=…` and `;Self=…` of the only line, each once; none that is longer or other than AWS makes them.
#[cold] // Small rather than quick: few peers send it.
#[inline(never)]
pub fn fields_beside(headers: &Headers) -> Vec<u8> {
    let mut fields = Vec::new();
    let Some(line) = only_line(headers) else {
        return fields;
    };
    for (name, written) in CARRIED {
        let sound = line
            .split(|byte| *byte == b';')
            .find_map(|field| value(trim_ows(field), name).filter(|value| is_sound(value)));
        if let Some(value) = sound {
            fields.extend([written, value].concat());
        }
    }
    fields
}

/// Visible ASCII without the comma, by which lines are joined.
fn is_sound(value: &[u8]) -> bool {
    (1..=MAX_CARRIED_LEN).contains(&value.len())
        && value
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b',')
}

fn only_line(headers: &Headers) -> Option<&[u8]> {
    let mut lines = headers.get_all(HEADER);
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

// Asked for each name: once in the module.
#[inline(never)]
fn value<'a>(field: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = field.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(trim_ows(value))
}

/// `1-{8 digits}-{24 digits}`.
fn root_id(text: &[u8]) -> Option<[u8; 16]> {
    let rest = text.strip_prefix(b"1-")?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let unique = rest.strip_prefix(b"-")?;
    let time: [u8; 4] = hex::decode_any_case(time)?;
    let unique: [u8; 12] = hex::decode_any_case(unique)?;
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(time.iter().chain(&unique)) {
        *to = *from;
    }
    non_zero(id)
}

/// Writes `Root=1-…-…;Parent=…;Sampled=…` and, behind them, what [`fields_beside`] gave.
pub fn inject(
    ctx: &TraceContext,
    sampled: bool,
    beside: &[u8],
    put: &mut impl FnMut(&'static str, &[u8]),
) {
    let mut ours = *b"Root=1-tttttttt-uuuuuuuuuuuuuuuuuuuuuuuu;Parent=pppppppppppppppp;Sampled=0";
    let (time, unique) = ctx.trace_id.split_at(4);
    for (at, bytes) in [(7, time), (16, unique), (48, &ctx.parent_id)] {
        if let Some(field) = ours.get_mut(at..at + 2 * bytes.len()) {
            hex::encode(bytes, field);
        }
    }
    if let Some(last) = ours.last_mut() {
        *last = if sampled { b'1' } else { b'0' };
    }
    if beside.is_empty() {
        return put(HEADER, &ours);
    }
    let mut all = ours.to_vec();
    all.extend_from_slice(beside);
    put(HEADER, &all);
}
