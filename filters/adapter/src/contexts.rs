//! The contexts of one VM, and the host's callbacks into them.
//!
//! The SDK's dispatcher, 27 kB with its wrappers, keeps six hash maps and traps on an id it does not know. An unknown id here
//! does nothing. The step after linking puts each `portcullis_on_X` in the place of the SDK's `proxy_on_X` and takes the
//! dispatcher out, so nothing here may use it.

use std::cell::{Cell, RefCell};

use portcullis_kit::exchange::Resume;
use proxy_wasm::types::Action;

use crate::callout;
use crate::export::{Entry, new_root};
use crate::gauges;
use crate::host;

/// One plugin configuration on one worker.
pub trait RootContext {
    /// Whether the configuration of `size` bytes is accepted.
    fn configure(&mut self, size: usize) -> bool;
    fn tick(&mut self);
    /// The host is about to delete the context.
    fn stop(&mut self);
    /// A request's end, where the plugin is an access logger.
    fn log(&mut self);
    fn new_request(&self, id: u32) -> Box<dyn HttpContext>;
}

/// One request, from its headers to its end.
pub trait HttpContext {
    fn request_headers(&mut self, end_of_stream: bool) -> Action;
    fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action;
    fn request_trailers(&mut self) -> Action;
    fn response_headers(&mut self, end_of_stream: bool) -> Action;
    fn response_body(&mut self, size: usize, end_of_stream: bool) -> Action;
    fn response_trailers(&mut self) -> Action;
    /// Goes on with a request that a filter paused.
    fn resume(&mut self, how: Resume);
    fn log(&mut self);
}

/// A host numbers contexts one after the other, so the low bits spread them evenly.
const BUCKETS: usize = 64;

type Bucket<T> = Vec<(u32, Box<T>)>;

/// Contexts by id.
struct Table<T: ?Sized>([Bucket<T>; BUCKETS]);

impl<T: ?Sized> Table<T> {
    const fn new() -> Self {
        Self([const { Vec::new() }; BUCKETS])
    }

    fn bucket(&mut self, id: u32) -> Option<&mut Bucket<T>> {
        self.0.get_mut(id as usize % BUCKETS)
    }

    fn insert(&mut self, id: u32, context: Box<T>) {
        if let Some(bucket) = self.bucket(id) {
            bucket.push((id, context));
        }
    }

    fn get(&mut self, id: u32) -> Option<&mut T> {
        let bucket = self.bucket(id)?;
        let (_, context) = bucket.iter_mut().find(|(known, _)| *known == id)?;
        Some(context)
    }

    fn remove(&mut self, id: u32) -> Option<Box<T>> {
        let bucket = self.bucket(id)?;
        let at = bucket.iter().position(|(known, _)| *known == id)?;
        Some(bucket.swap_remove(at).1)
    }
}

thread_local! {
    static ENTRIES: Cell<&'static [Entry]> = const { Cell::new(&[]) };
    static ROOTS: RefCell<Table<Root>> = const { RefCell::new(Table::new()) };
    static REQUESTS: RefCell<Table<Request>> = const { RefCell::new(Table::new()) };
}

/// Makes these the plugins of the module.
pub fn start(entries: &'static [Entry]) {
    ENTRIES.set(entries);
}

type Root = dyn RootContext;
type Request = dyn HttpContext;

/// `None` for an unknown id, and for a host that calls while its last call is still running.
fn root<T>(id: u32, callback: impl FnOnce(&mut Root) -> T) -> Option<T> {
    ROOTS.with(|roots| {
        let mut roots = roots.try_borrow_mut().ok()?;
        roots.get(id).map(callback)
    })
}

fn request(id: u32, callback: impl FnOnce(&mut Request) -> Action) -> Action {
    let answer = REQUESTS.with(|requests| {
        let mut requests = requests.try_borrow_mut().ok()?;
        requests.get(id).map(callback)
    });
    answer.unwrap_or(Action::Continue)
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_context_create(id: u32, root_id: u32) {
    if root_id == 0 {
        let context = new_root(id, ENTRIES.get());
        ROOTS.with_borrow_mut(|roots| roots.insert(id, context));
    } else if let Some(context) = root(root_id, |root| root.new_request(id)) {
        REQUESTS.with_borrow_mut(|requests| requests.insert(id, context));
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_vm_start(_: u32, _: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_configure(id: u32, size: usize) -> bool {
    root(id, |root| root.configure(size)).unwrap_or(false)
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_tick(id: u32) {
    let _ = root(id, |root| root.tick());
    gauges::tick();
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_request_headers(id: u32, _: usize, end_of_stream: bool) -> Action {
    request(id, |request| request.request_headers(end_of_stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_response_headers(id: u32, _: usize, end_of_stream: bool) -> Action {
    request(id, |request| request.response_headers(end_of_stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_response_body(id: u32, size: usize, end_of_stream: bool) -> Action {
    request(id, |request| request.response_body(size, end_of_stream))
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_response_trailers(id: u32, _: usize) -> Action {
    request(id, |request| request.response_trailers())
}

/// What the ABI takes for "go on" and for "hold this back, and the client with it". A paused body would be buffered instead, up
/// to a limit beyond which the host answers 413.
const GO_ON: u32 = 0;
const HOLD_BACK: u32 = 2;

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_request_body(id: u32, size: usize, end_of_stream: bool) -> u32 {
    match request(id, |request| request.request_body(size, end_of_stream)) {
        Action::Continue => GO_ON,
        _ => HOLD_BACK,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_request_trailers(id: u32, _: usize) -> Action {
    request(id, |request| request.request_trailers())
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_log(id: u32) {
    let logged = REQUESTS.with(|requests| {
        let mut requests = requests.try_borrow_mut().ok()?;
        requests.get(id).map(|request| request.log())
    });
    // An access logger's requests have no context of their own.
    if logged.is_none() {
        let _ = root(id, |root| root.log());
    }
}

/// Goes on with a paused request, from a callback of the root context `root_id`.
pub fn resume(id: u32, how: Resume, root_id: u32) {
    REQUESTS.with(|requests| {
        let Ok(mut requests) = requests.try_borrow_mut() else {
            return;
        };
        if let Some(request) = requests.get(id)
            && host::set_effective_context(id).is_ok()
        {
            request.resume(how);
            let _ = host::set_effective_context(root_id);
        }
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_delete(id: u32) {
    let gone = REQUESTS.with_borrow_mut(|requests| requests.remove(id));
    if gone.is_none() {
        let _ = root(id, |root| root.stop());
        callout::forget(id);
        let _ = ROOTS.with_borrow_mut(|roots| roots.remove(id));
    }
}
