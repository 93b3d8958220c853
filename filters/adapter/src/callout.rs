//! HTTP callouts, and the way of their answers.
//!
//! The call goes to the ABI directly, and its token is remembered here. The step after linking puts
//! [`portcullis_on_http_call_response`] in the place of the SDK's `proxy_on_http_call_response`.

use std::cell::RefCell;
use std::rc::Rc;

use portcullis_kit::Headers;
use portcullis_kit::exchange::{Callout, CalloutAnswer, CalloutError, CalloutId};

use crate::host::{self, Buffer, Map, Refused};

/// BAD_ARGUMENT of the ABI: an unknown cluster, or headers without `:method`, `:path` or `:authority`.
const BAD_ARGUMENT: u32 = 2;

/// Who gets the answer to a callout.
pub trait Caller {
    fn answered(self: Rc<Self>, context_id: u32, id: CalloutId, answer: &CalloutAnswer);
}

struct Pending {
    token: u32,
    context_id: u32,
    caller: Rc<dyn Caller>,
}

thread_local! {
    /// A handful at a time: filters bound their callouts.
    static PENDING: RefCell<Vec<Pending>> = const { RefCell::new(Vec::new()) };
}

/// Sends a callout of a root context.
pub fn send(
    callout: Callout<'_>,
    context_id: u32,
    caller: Rc<dyn Caller>,
) -> Result<CalloutId, CalloutError> {
    let headers = Headers::from_lines(callout.headers.iter().copied()).to_serialized();
    let token = host::call(callout.cluster, &headers, callout.body, callout.timeout_ms).map_err(
        |Refused(status)| match status {
            BAD_ARGUMENT => CalloutError::Refused,
            _ => CalloutError::Unavailable,
        },
    )?;
    PENDING.with_borrow_mut(|pending| {
        pending.push(Pending {
            token,
            context_id,
            caller,
        });
    });
    Ok(CalloutId(token))
}

/// Forgets the callouts of a context that ends: the host cancels them, and what waits for them is to end, too.
pub fn forget(context_id: u32) {
    let of_it = PENDING.with_borrow_mut(|pending| {
        let (of_it, others) = std::mem::take(pending)
            .into_iter()
            .partition::<Vec<_>, _>(|waiting| waiting.context_id == context_id);
        *pending = others;
        of_it
    });
    // Only now: what ends with them may itself come here.
    drop(of_it);
}

/// The host's callback. An answer to a token that nobody waits for is dropped.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_http_call_response(
    _: u32,
    token: u32,
    _: usize,
    body_size: usize,
    _: usize,
) {
    let found = PENDING.with_borrow_mut(|pending| {
        let at = pending.iter().position(|waiting| waiting.token == token)?;
        Some(pending.swap_remove(at))
    });
    let Some(waiting) = found else {
        return;
    };
    // Host calls made from here on count for the plugin that asked. A host that refuses has only one context anyway.
    let _ = host::set_effective_context(waiting.context_id);
    let headers = host::header_map(Map::CalloutAnswer)
        .ok()
        .and_then(Headers::from_serialized)
        .unwrap_or_default();
    let body = host::buffer(Buffer::CalloutAnswerBody, 0, body_size).unwrap_or_default();
    let answer = CalloutAnswer { headers, body };
    waiting
        .caller
        .answered(waiting.context_id, CalloutId(token), &answer);
}
