//! A compiled module, and how a plugin of it is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use wasmtime::{Config, Engine, Linker, Store};

use crate::failure::Failure;
use crate::guest::Guest;
use crate::plugin::{Plugin, Refused, State};
use crate::shared::SharedData;
use crate::world::World;
use crate::{imports, wasi};

/// Where `make build` puts a module: `dist("security_headers")`, `dist("test/noop")`.
pub fn dist(name: &str) -> PathBuf {
    let folder = std::env::var_os("PORTCULLIS_DIST").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist"),
        PathBuf::from,
    );
    folder.join(format!("{name}.wasm"))
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.consume_fuel(true);
        Engine::new(&config).expect("wasmtime runs on this machine")
    })
}

/// A compiled module.
#[derive(Clone)]
pub struct Module(wasmtime::Module);

impl Module {
    /// Reads and compiles a module; a second time in one process it is there already.
    ///
    /// # Panics
    /// If it is missing or no module: a test that cannot run has failed.
    pub fn load(path: &Path) -> Self {
        static COMPILED: Mutex<BTreeMap<PathBuf, Module>> = Mutex::new(BTreeMap::new());
        let mut compiled = COMPILED
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        compiled
            .entry(path.to_owned())
            .or_insert_with(|| {
                let wasm = std::fs::read(path).unwrap_or_else(|why| {
                    panic!("{}: {why}; run `make build` first", path.display())
                });
                Self::compile(&wasm)
            })
            .clone()
    }

    /// Compiles a module from its bytes or its text.
    ///
    /// # Panics
    /// If it is none.
    pub fn compile(wasm: &[u8]) -> Self {
        Self(wasmtime::Module::new(engine(), wasm).expect("a WebAssembly module"))
    }

    /// The names of its exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.0.exports().map(|export| export.name())
    }

    /// A plugin of this module, not loaded yet.
    pub fn start(&self) -> Start {
        Start {
            module: self.clone(),
            world: World::default(),
        }
    }
}

/// What a plugin is to be loaded with.
#[derive(Clone)]
pub struct Start {
    module: Module,
    world: World,
}

impl Start {
    #[must_use]
    pub fn root_id(mut self, root_id: &str) -> Self {
        root_id.clone_into(&mut self.world.root_id);
        self
    }

    /// The plugin's configuration as the host hands it over; see [`crate::Form`].
    #[must_use]
    pub fn configuration(mut self, bytes: &[u8]) -> Self {
        self.world.configuration = bytes.to_vec();
        self
    }

    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        let variable = (name.to_owned(), value.to_owned());
        self.world.environment.push(variable);
        self
    }

    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.world.clusters.insert(name.to_owned());
        self
    }

    /// In force from the first host call on.
    #[must_use]
    pub fn failure(mut self, failure: Failure) -> Self {
        self.world.failures.push(failure);
        self
    }

    /// Random bytes repeat with the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.world.seed = seed;
        self
    }

    /// The same store as another plugin's.
    #[must_use]
    pub fn shared(mut self, shared: &SharedData) -> Self {
        self.world.shared = shared.clone();
        self
    }

    /// Starts the VM and configures the plugin.
    ///
    /// # Errors
    /// The plugin refused its configuration, or trapped.
    ///
    /// # Panics
    /// If the module is no proxy-wasm module.
    pub fn load(self) -> Result<Plugin, Refused> {
        let module = &self.module.0;
        let mut linker = Linker::new(engine());
        imports::define(&mut linker).expect("no import is defined twice");
        wasi::define(&mut linker).expect("no import is defined twice");
        linker
            .define_unknown_imports_as_traps(module)
            .expect("imports are functions");
        let mut store = Store::new(engine(), State::new(self.world));
        // Instantiation runs no code of a module without a start function; fuel is needed to be asked for none.
        store.set_fuel(1).expect("fuel is on");
        let instance = linker
            .instantiate(&mut store, module)
            .expect("the module instantiates");
        let memory = instance.get_memory(&mut store, "memory");
        let allocate = ["proxy_on_memory_allocate", "malloc"]
            .into_iter()
            .find_map(|name| instance.get_typed_func(&mut store, name).ok());
        store.data_mut().guest = Some(Guest {
            memory: memory.expect("the module exports its memory"),
            allocate: allocate.expect("the module exports an allocator"),
        });
        Plugin::start(store, &instance)
    }
}
