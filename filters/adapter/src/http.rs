//! The HTTP context: one request, from its headers to its end.

use std::rc::Rc;

use portcullis_kit::chain::Bundle;
use portcullis_kit::exchange::Resume;
use portcullis_kit::{Callbacks, Exchange, Flow};
use proxy_wasm::types::Action;

use crate::callout::Caller;
use crate::contexts::HttpContext;
use crate::exchange::{HostExchange, Phase, Place, State};
use crate::host;
use crate::root::Loaded;

/// A request under a loaded bundle.
pub struct Http<B: Bundle> {
    id: u32,
    root_id: u32,
    loaded: Rc<Loaded<B>>,
    state: State,
    stream: B::Stream,
    /// Whether a filter paused the request.
    waits: bool,
}

impl<B: Bundle + 'static> Http<B> {
    pub fn new(id: u32, root_id: u32, loaded: Rc<Loaded<B>>) -> Self {
        Self {
            id,
            root_id,
            loaded,
            state: State::default(),
            stream: B::Stream::default(),
            waits: false,
        }
    }

    /// What comes behind headers that wait must wait, too: a host that goes on with it goes on with the headers.
    fn behind_headers(&self) -> Action {
        match self.waits {
            true => Action::Pause,
            false => Action::Continue,
        }
    }

    fn run<T>(
        &mut self,
        phase: Phase,
        callback: impl FnOnce(&B, &mut B::Stream, &mut HostExchange<'_>) -> T,
    ) -> T {
        self.state.enter(phase);
        let caller = || Rc::<Loaded<B>>::clone(&self.loaded) as Rc<dyn Caller>;
        let mut exchange = HostExchange {
            state: &mut self.state,
            place: Place {
                id: self.id,
                root_id: self.root_id,
                caller: &caller,
            },
            shares_response: B::SHARES_RESPONSE,
            refused: self.loaded.refused,
        };
        let result = callback(&self.loaded.bundle, &mut self.stream, &mut exchange);
        // Whatever was read is not held until the next callback.
        self.state.enter(phase);
        result
    }
}

/// Behind a reply, what it answers goes no further.
fn stopping(flow: Flow) -> Action {
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

impl<B: Bundle + 'static> HttpContext for Http<B> {
    fn request_headers(&mut self, end_of_stream: bool) -> Action {
        let flow = self.run(Phase::Request, |bundle, stream, exchange| {
            bundle.request_headers(stream, exchange, end_of_stream)
        });
        self.waits = flow == Flow::Pause;
        stopping(flow)
    }

    fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        // Known when a module is built, as below.
        if !B::CALLBACKS.contains(Callbacks::REQUEST_BODY) {
            return Action::Continue;
        }
        // Held back as it is here, each piece is shown once: a host buffers none of it for the filter.
        self.run(Phase::RequestBody, |bundle, stream, exchange| {
            bundle.request_body(stream, exchange, size, end_of_stream);
        });
        self.behind_headers()
    }

    fn request_trailers(&mut self) -> Action {
        self.behind_headers()
    }

    fn resume(&mut self, how: Resume) {
        // Known when a module is built: without callouts nothing can wake a request.
        if !B::CALLBACKS.contains(Callbacks::CALLOUT) || !std::mem::take(&mut self.waits) {
            return;
        }
        let flow = self.run(Phase::Request, |bundle, stream, exchange| match how {
            Resume::Continue => bundle.resume(stream, exchange),
            Resume::Reply(reply) => {
                exchange.reply(reply);
                Flow::Replied
            }
        });
        match flow {
            Flow::Continue => {
                let _ = host::continue_request();
            }
            Flow::Pause => self.waits = true,
            Flow::Replied => {}
        }
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
        let flow = self.run(Phase::ResponseTrailers, |bundle, stream, exchange| {
            bundle.response_trailers(stream, exchange)
        });
        stopping(flow)
    }

    fn log(&mut self) {
        self.run(Phase::Finished, |bundle, stream, exchange| {
            bundle.finished(stream, exchange);
        });
    }
}
