//! One exchange, run through a plugin.

use std::collections::BTreeMap;

use wasmtime::{Store, TypedFunc};

use crate::cost::{Cost, Phase};
use crate::lines::Lines;
use crate::plugin::{Plugin, State, Trap};
use crate::script::{Response, Script};
use crate::stream::{Reply, Stream};

const CONTINUE: u32 = 0;

/// What came of one exchange.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The request's headers when the plugin had seen them.
    pub request: Lines,
    /// Whether the upstream got the request.
    pub forwarded: bool,
    /// What the plugin sent in place of the upstream.
    pub reply: Option<Reply>,
    /// What the client got; empty if the exchange ended before a response.
    pub response: Lines,
    pub body: Vec<u8>,
    /// The callback that paused, if nothing resumed it: on a host the exchange then hangs.
    pub hangs_in: Option<Phase>,
    /// The lines that were logged: the ABI's level and the text.
    pub logs: Vec<(u32, String)>,
    /// By how much each counter and gauge grew.
    pub metrics: BTreeMap<String, i64>,
    pub filter_state: BTreeMap<String, Vec<u8>>,
    pub cost: Cost,
}

impl Outcome {
    pub fn status(&self) -> Option<u16> {
        self.response.text(":status")?.parse().ok()
    }
}

impl Plugin {
    /// Runs one exchange from the request's headers to the end of its context.
    ///
    /// # Errors
    /// The guest trapped; its VM is gone with all its plugins.
    pub fn request(&mut self, script: &Script) -> Result<Outcome, Trap> {
        drop(self.take_cost());
        let metrics = self.world().metrics.clone();
        let logged = self.world().logs.len();
        self.store.data_mut().stream = Some(Stream {
            request: script.request.clone(),
            properties: script.properties.clone(),
            ..Stream::default()
        });
        let passed = self.pass(script);
        let stream = self.store.data_mut().stream.take().unwrap_or_default();
        let passed = passed?;
        Ok(Outcome {
            request: stream.request,
            forwarded: passed.forwarded,
            reply: stream.reply,
            response: stream.response,
            body: passed.body,
            hangs_in: passed.hangs_in,
            logs: self.world().logs.get(logged..).unwrap_or_default().to_vec(),
            metrics: self.world().metrics.since(&metrics),
            filter_state: stream.filter_state,
            cost: self.take_cost(),
        })
    }

    fn stream(&mut self) -> &mut Stream {
        self.store.data_mut().stream.get_or_insert_default()
    }

    fn pass(&mut self, script: &Script) -> Result<Passed, Trap> {
        let context = self.create_context()?;
        let mut passed = Passed::default();
        if script.reaches_plugin {
            self.pass_both_ways(context, script, &mut passed)?;
        } else if let Some(response) = &script.response {
            self.stream().response = response.headers.clone();
            passed.body = response.body.concat();
        }
        self.stream().logging = true;
        self.stream().request_open = false;
        self.stream().response_open = false;
        self.run(Phase::Log, |store, callbacks| match &callbacks.log {
            Some(log) => log.call(store, context),
            None => Ok(()),
        })?;
        self.delete_context(context)?;
        Ok(passed)
    }

    fn pass_both_ways(
        &mut self,
        context: u32,
        script: &Script,
        passed: &mut Passed,
    ) -> Result<(), Trap> {
        self.pass_request(context, script, passed)?;
        let response = match &self.stream().reply {
            Some(reply) => Some(local_response(reply, &script.request)),
            None if passed.hangs_in.is_some() => None,
            None => {
                passed.forwarded = true;
                script.response.clone()
            }
        };
        match response {
            Some(response) => {
                passed.hangs_in = None;
                self.pass_response(context, response, passed)
            }
            None => Ok(()),
        }
    }

    fn pass_request(
        &mut self,
        context: u32,
        script: &Script,
        passed: &mut Passed,
    ) -> Result<(), Trap> {
        self.stream().request_open = true;
        let count = count(script.request.len());
        let ends = u32::from(script.body.is_empty());
        let action = self.run(Phase::RequestHeaders, |store, callbacks| {
            act(store, &callbacks.request_headers, (context, count, ends))
        })?;
        if action != CONTINUE {
            self.answer_callouts(script)?;
            if !self.stream().resumed {
                // A reply leaves the headers where they are: they can be read while it passes.
                passed.hangs_in = Some(Phase::RequestHeaders);
                return Ok(());
            }
        }
        self.stream().request_open = false;
        let last = script.body.len().saturating_sub(1);
        for (at, chunk) in script.body.iter().enumerate() {
            let held = self.stream().request_body.get_or_insert_default();
            held.extend_from_slice(chunk);
            let arguments = (context, count_of(held), u32::from(at == last));
            let action = self.run(Phase::RequestBody, |store, callbacks| {
                act(store, &callbacks.request_body, arguments)
            })?;
            if self.stream().reply.is_some() {
                break;
            }
            match action {
                CONTINUE => self.stream().request_body = None,
                _ if at == last => passed.hangs_in = Some(Phase::RequestBody),
                _ => {}
            }
        }
        self.stream().request_body = None;
        Ok(())
    }

    /// While a request waits, as far as the script has answers.
    fn answer_callouts(&mut self, script: &Script) -> Result<(), Trap> {
        let Some(status) = script.answer_of_callouts else {
            return Ok(());
        };
        for callout in self.world().callouts.clone() {
            let headers = Lines::new([(":status", status.to_string())]);
            self.hand_over(&callout, headers, b"")?;
        }
        Ok(())
    }

    fn pass_response(
        &mut self,
        context: u32,
        response: Response,
        passed: &mut Passed,
    ) -> Result<(), Trap> {
        let count = count(response.headers.len());
        let ends = u32::from(response.body.is_empty() && !response.trailers);
        let answered = self.stream().reply.is_some();
        self.stream().response = response.headers;
        self.stream().response_open = true;
        let action = self.run(Phase::ResponseHeaders, |store, callbacks| {
            act(store, &callbacks.response_headers, (context, count, ends))
        })?;
        let replaced = self.stream().reply.clone().filter(|_| !answered);
        if let Some(reply) = replaced {
            // It goes to the client as it is: Envoy shows it to no filter.
            let request = self.stream().request.clone();
            let response = local_response(&reply, &request);
            self.stream().response = response.headers;
            passed.body = response.body.concat();
            return Ok(());
        }
        // What waits for its body can still be changed.
        let waits = action != CONTINUE;
        if waits && ends == 1 {
            passed.hangs_in = Some(Phase::ResponseHeaders);
            return Ok(());
        }
        self.stream().response_open = waits;
        let mut headers_left = !waits;
        let last = response.body.len().saturating_sub(1);
        for (at, chunk) in response.body.iter().enumerate() {
            let held = self.stream().response_body.get_or_insert_default();
            held.extend_from_slice(chunk);
            let ends = u32::from(at == last && !response.trailers);
            let arguments = (context, count_of(held), ends);
            let action = self.run(Phase::ResponseBody, |store, callbacks| {
                act(store, &callbacks.response_body, arguments)
            })?;
            match action {
                CONTINUE => {
                    let sent = self.stream().response_body.take();
                    passed.body.extend(sent.unwrap_or_default());
                    headers_left = true;
                    self.stream().response_open = false;
                }
                _ if ends == 1 => passed.hangs_in = Some(Phase::ResponseBody),
                _ => {}
            }
        }
        if response.trailers {
            let action = self.run(Phase::ResponseTrailers, |store, callbacks| match &callbacks
                .response_trailers
            {
                Some(callback) => callback.call(store, (context, 1)),
                None => Ok(CONTINUE),
            })?;
            if action == CONTINUE {
                let held = self.stream().response_body.take();
                passed.body.extend(held.unwrap_or_default());
                headers_left = true;
            } else {
                passed.hangs_in = Some(Phase::ResponseTrailers);
            }
        }
        if !headers_left && passed.hangs_in.is_none() {
            passed.hangs_in = Some(Phase::ResponseHeaders);
        }
        self.stream().response_body = None;
        Ok(())
    }
}

#[derive(Default)]
struct Passed {
    forwarded: bool,
    body: Vec<u8>,
    hangs_in: Option<Phase>,
}

/// A callback of a stream; a module that does not have it lets everything pass.
fn act(
    store: &mut Store<State>,
    callback: &Option<TypedFunc<(u32, u32, u32), u32>>,
    arguments: (u32, u32, u32),
) -> wasmtime::Result<u32> {
    match callback {
        Some(callback) => callback.call(store, arguments),
        None => Ok(CONTINUE),
    }
}

/// A reply as it enters the response phase: Envoy adds the body's length and, where the reply names none, its type.
fn local_response(reply: &Reply, request: &Lines) -> Response {
    let mut headers = Lines::new([(":status", reply.status.to_string())]);
    for (name, value) in reply.headers.iter() {
        headers.add(name, value);
    }
    headers.remove("content-length");
    let mut body = Vec::new();
    if reply.body.is_empty() {
        headers.remove("content-type");
    } else {
        headers.add("content-length", reply.body.len().to_string());
        if headers.get("content-type").is_none() {
            headers.add("content-type", "text/plain");
        }
        if request.get(":method") != Some(b"HEAD") {
            body.push(reply.body.clone());
        }
    }
    Response {
        headers,
        body,
        trailers: false,
    }
}

fn count(lines: usize) -> u32 {
    u32::try_from(lines).unwrap()
}

fn count_of(bytes: &[u8]) -> u32 {
    count(bytes.len())
}
