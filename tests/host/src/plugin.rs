//! A loaded plugin: one VM, one root context.

use std::fmt;

use wasmtime::{Instance, Store, TypedFunc, WasmParams, WasmResults};

use crate::cost::{Cost, Phase};
use crate::guest::Guest;
use crate::lines::Lines;
use crate::stream::Stream;
use crate::world::{Callout, World};

/// More instructions than any callback of a filter may take; an endless loop ends here.
const FUEL: u64 = 5_000_000_000;
pub(crate) const ROOT: u32 = 1;

/// What host calls work on.
pub struct State {
    pub world: World,
    /// The HTTP stream whose callback runs, if one does.
    pub stream: Option<Stream>,
    /// The callout's answer that is being handed over.
    pub answer: Option<(Lines, Vec<u8>)>,
    pub guest: Option<Guest>,
    phase: Phase,
    cost: Cost,
    call: &'static str,
}

impl State {
    pub fn new(world: World) -> Self {
        Self {
            world,
            stream: None,
            answer: None,
            guest: None,
            phase: Phase::Start,
            cost: Cost::default(),
            call: "",
        }
    }

    /// A host call begins.
    pub fn enter(&mut self, call: &'static str) {
        self.call = call;
        *self.cost.calls.entry((self.phase, call)).or_default() += 1;
    }

    /// The host call under way handed bytes over.
    pub fn note_returned(&mut self) {
        let key = (self.phase, self.call);
        *self.cost.returning.entry(key).or_default() += 1;
    }
}

/// The guest trapped, which kills its VM.
#[derive(Clone, Debug)]
pub struct Trap {
    pub phase: Phase,
    pub why: String,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trap in {:?}: {}", self.phase, self.why)
    }
}

impl std::error::Error for Trap {}

/// The plugin did not take its configuration.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Set if it trapped; a plugin should refuse in words.
    pub trap: Option<Trap>,
    /// The lines it logged.
    pub logs: Vec<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trap {
            Some(trap) => write!(f, "{trap}; log: {:#?}", self.logs),
            None => write!(f, "the configuration was refused; log: {:#?}", self.logs),
        }
    }
}

impl std::error::Error for Refused {}

/// A callback with a context's id alone.
type Plain = TypedFunc<u32, ()>;
/// A callback with a context's id, a size or count, and whether the stream ends here; it gives an action.
type Streaming = TypedFunc<(u32, u32, u32), u32>;

/// A callout's answer: the context, the token, and how many headers, bytes of body and trailers there are.
type Answered = TypedFunc<(u32, u32, u32, u32, u32), ()>;

/// The guest's callbacks; those that a module does not have are not called, as on any host.
pub(crate) struct Callbacks {
    create: Option<TypedFunc<(u32, u32), ()>>,
    vm_start: Option<TypedFunc<(u32, u32), u32>>,
    configure: Option<TypedFunc<(u32, u32), u32>>,
    pub request_headers: Option<Streaming>,
    pub request_body: Option<Streaming>,
    pub response_headers: Option<Streaming>,
    pub response_body: Option<Streaming>,
    pub response_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub log: Option<Plain>,
    done: Option<TypedFunc<u32, u32>>,
    delete: Option<Plain>,
    tick: Option<Plain>,
    answer: Option<Answered>,
}

impl Callbacks {
    fn of(instance: &Instance, store: &mut Store<State>) -> Self {
        fn find<P: WasmParams, R: WasmResults>(
            instance: &Instance,
            store: &mut Store<State>,
            name: &str,
        ) -> Option<TypedFunc<P, R>> {
            let function = instance.get_func(&mut *store, name)?;
            let typed = function.typed(&*store);
            Some(typed.unwrap_or_else(|why| panic!("{name} has not the ABI's signature: {why}")))
        }
        Self {
            create: find(instance, store, "proxy_on_context_create"),
            vm_start: find(instance, store, "proxy_on_vm_start"),
            configure: find(instance, store, "proxy_on_configure"),
            request_headers: find(instance, store, "proxy_on_request_headers"),
            request_body: find(instance, store, "proxy_on_request_body"),
            response_headers: find(instance, store, "proxy_on_response_headers"),
            response_body: find(instance, store, "proxy_on_response_body"),
            response_trailers: find(instance, store, "proxy_on_response_trailers"),
            log: find(instance, store, "proxy_on_log"),
            done: find(instance, store, "proxy_on_done"),
            delete: find(instance, store, "proxy_on_delete"),
            tick: find(instance, store, "proxy_on_tick"),
            answer: find(instance, store, "proxy_on_http_call_response"),
        }
    }
}

/// A plugin that took its configuration.
pub struct Plugin {
    pub(crate) store: Store<State>,
    pub(crate) callbacks: Callbacks,
    /// What loading it cost.
    pub start: Cost,
    /// Never tells the guest that a stream is over. Only a test of the tests wants that.
    pub keeps_contexts: bool,
    last_context: u32,
    dead: Option<Trap>,
}

impl Plugin {
    pub(crate) fn start(store: Store<State>, instance: &Instance) -> Result<Self, Refused> {
        let mut store = store;
        let callbacks = Callbacks::of(instance, &mut store);
        let initialize = instance.get_typed_func::<(), ()>(&mut store, "_initialize");
        let size = u32::try_from(store.data().world.configuration.len()).unwrap();
        let mut plugin = Self {
            store,
            callbacks,
            start: Cost::default(),
            keeps_contexts: false,
            last_context: ROOT,
            dead: None,
        };
        let accepted = plugin.run(Phase::Start, |store, callbacks| {
            if let Ok(initialize) = initialize {
                initialize.call(&mut *store, ())?;
            }
            if let Some(create) = &callbacks.create {
                create.call(&mut *store, (ROOT, 0))?;
            }
            for start in [(&callbacks.vm_start, 0), (&callbacks.configure, size)] {
                if let (Some(start), size) = start
                    && start.call(&mut *store, (ROOT, size))? == 0
                {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        plugin.start = plugin.take_cost();
        match accepted {
            Ok(true) => Ok(plugin),
            refused => Err(Refused {
                trap: refused.err(),
                logs: plugin.logs(),
            }),
        }
    }

    pub fn world(&self) -> &World {
        &self.store.data().world
    }

    pub fn world_mut(&mut self) -> &mut World {
        &mut self.store.data_mut().world
    }

    /// Every line that it logged.
    pub fn logs(&self) -> Vec<String> {
        let logs = self.world().logs.iter();
        logs.map(|(_, line)| line.clone()).collect()
    }

    /// The size of the guest's memory. It never shrinks.
    pub fn memory_bytes(&self) -> usize {
        let guest = self.store.data().guest.as_ref();
        guest.unwrap().memory.data_size(&self.store)
    }

    /// Lets the plugin's timer fire.
    ///
    /// # Errors
    /// The guest trapped.
    pub fn tick(&mut self) -> Result<Cost, Trap> {
        self.run(Phase::Tick, |store, callbacks| match &callbacks.tick {
            Some(tick) => tick.call(store, ROOT),
            None => Ok(()),
        })?;
        Ok(self.take_cost())
    }

    /// Answers a callout. No headers at all mean that the connection was reset.
    ///
    /// # Errors
    /// The guest trapped.
    pub fn answer(&mut self, callout: &Callout, headers: Lines, body: &[u8]) -> Result<Cost, Trap> {
        self.hand_over(callout, headers, body)?;
        Ok(self.take_cost())
    }

    /// The same, as a part of what is under way.
    pub(crate) fn hand_over(
        &mut self,
        callout: &Callout,
        headers: Lines,
        body: &[u8],
    ) -> Result<(), Trap> {
        let count = u32::try_from(headers.len()).unwrap();
        let size = u32::try_from(body.len()).unwrap();
        let waiting = &mut self.world_mut().callouts;
        waiting.retain(|other| other.token != callout.token);
        self.store.data_mut().answer = Some((headers, body.to_vec()));
        let done = self.run(Phase::CalloutAnswer, |store, callbacks| {
            match &callbacks.answer {
                Some(answer) => answer.call(store, (ROOT, callout.token, count, size, 0)),
                None => Ok(()),
            }
        });
        self.store.data_mut().answer = None;
        done
    }

    /// Loads the configuration once more in the same VM, under a root context of its own, which then ends: as settings do
    /// that others follow. Whether it was taken.
    ///
    /// # Errors
    /// The guest trapped.
    pub fn load_beside(&mut self) -> Result<bool, Trap> {
        self.last_context += 1;
        let context = self.last_context;
        let size = u32::try_from(self.world().configuration.len()).unwrap();
        let accepted = self.run(Phase::Start, |store, callbacks| {
            if let Some(create) = &callbacks.create {
                create.call(&mut *store, (context, 0))?;
            }
            match &callbacks.configure {
                Some(configure) => configure.call(&mut *store, (context, size)),
                None => Ok(1),
            }
        })?;
        self.delete_context(context)?;
        Ok(accepted != 0)
    }

    /// Makes the context of a new stream.
    pub(crate) fn create_context(&mut self) -> Result<u32, Trap> {
        self.last_context += 1;
        let context = self.last_context;
        self.run(Phase::Create, |store, callbacks| match &callbacks.create {
            Some(create) => create.call(store, (context, ROOT)),
            None => Ok(()),
        })?;
        Ok(context)
    }

    pub(crate) fn delete_context(&mut self, context: u32) -> Result<(), Trap> {
        if self.keeps_contexts {
            return Ok(());
        }
        self.run(Phase::Delete, |store, callbacks| {
            if let Some(done) = &callbacks.done {
                done.call(&mut *store, context)?;
            }
            match &callbacks.delete {
                Some(delete) => delete.call(store, context),
                None => Ok(()),
            }
        })
    }

    /// Runs a callback and adds what it cost.
    pub(crate) fn run<T>(
        &mut self,
        phase: Phase,
        callback: impl FnOnce(&mut Store<State>, &Callbacks) -> wasmtime::Result<T>,
    ) -> Result<T, Trap> {
        if let Some(trap) = &self.dead {
            return Err(trap.clone());
        }
        self.store.data_mut().phase = phase;
        self.store.set_fuel(FUEL).unwrap();
        let result = callback(&mut self.store, &self.callbacks);
        let spent = FUEL - self.store.get_fuel().unwrap();
        *self.store.data_mut().cost.fuel.entry(phase).or_default() += spent;
        result.map_err(|error| {
            let why = format!("{error:?}");
            let trap = Trap { phase, why };
            self.dead = Some(trap.clone());
            trap
        })
    }

    /// What was spent since the last time this was asked.
    pub(crate) fn take_cost(&mut self) -> Cost {
        std::mem::take(&mut self.store.data_mut().cost)
    }
}
