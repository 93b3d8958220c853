//! The HTTP context: one request, from its headers to its end.

use std::rc::Rc;

use portcullis_kit::Flow;
use portcullis_kit::chain::Bundle;
use proxy_wasm::types::Action;

use crate::contexts::HttpContext;
use crate::exchange::{HostExchange, Phase, State};
use crate::root::Loaded;

/// A request under a loaded bundle.
pub struct Http<B: Bundle> {
    loaded: Rc<Loaded<B>>,
    state: State,
    stream: B::Stream,
}

impl<B: Bundle> Http<B> {
    pub fn new(loaded: Rc<Loaded<B>>) -> Self {
        Self {
            loaded,
            state: State::default(),
            stream: B::Stream::default(),
        }
    }

    fn run<T>(
        &mut self,
        phase: Phase,
        callback: impl FnOnce(&B, &mut B::Stream, &mut HostExchange<'_>) -> T,
    ) -> T {
        self.state.enter(phase);
        let mut exchange = HostExchange {
            state: &mut self.state,
            shares_response: B::SHARES_RESPONSE,
            refused: self.loaded.refused,
        };
        let result = callback(&self.loaded.bundle, &mut self.stream, &mut exchange);
        // Whatever was read is not held until the next callback.
        self.state.enter(phase);
        result
    }
}

fn request_action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause | Flow::Replied => Action::Pause,
    }
}

/// A response is under way, so there is nothing left to reply to: a filter that says so must not hold it for ever.
fn response_action(flow: Flow) -> Action {
    match flow {
        Flow::Continue | Flow::Replied => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}

impl<B: Bundle> HttpContext for Http<B> {
    fn request_headers(&mut self, end_of_stream: bool) -> Action {
        request_action(self.run(Phase::Request, |bundle, stream, exchange| {
            bundle.request_headers(stream, exchange, end_of_stream)
        }))
    }

    fn response_headers(&mut self, end_of_stream: bool) -> Action {
        response_action(self.run(Phase::Response, |bundle, stream, exchange| {
            let flow = bundle.response_headers(stream, exchange, end_of_stream);
            if flow == Flow::Replied {
                exchange.send_replacement();
            }
            flow
        }))
    }

    fn response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        response_action(self.run(Phase::ResponseBody, |bundle, stream, exchange| {
            bundle.response_body(stream, exchange, size, end_of_stream)
        }))
    }

    fn response_trailers(&mut self) -> Action {
        response_action(self.run(Phase::ResponseBody, |bundle, stream, exchange| {
            bundle.response_trailers(stream, exchange)
        }))
    }

    fn log(&mut self) {
        self.run(Phase::Finished, |bundle, stream, exchange| {
            bundle.finished(stream, exchange);
        });
    }
}
