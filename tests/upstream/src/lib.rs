//! A scriptable HTTP upstream: HTTP/1.1 and cleartext HTTP/2 on one port.
//!
//! Each request's target says what is answered (see [`script::HELP`]), so the same server is the demo's upstream and
//! the tests'. In tests the [`Recorder`] also keeps the exact bytes of every request and can hold a ready answer for one.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub mod answer;
mod connection;
pub mod faults;
mod http1;
mod http2;
pub mod percent;
pub mod recorder;
pub mod request;
pub mod script;

pub use answer::{Answer, Break, End, Framing};
pub use faults::Faults;
pub use recorder::{CASE_HEADER, Recorder};
pub use request::{Line, Protocol, Request};

/// A running server. Dropping it stops accepting; connections end with their clients.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    recorder: Recorder,
    stopped: Arc<AtomicBool>,
}

impl Upstream {
    /// Serves on a free port of the loopback.
    pub fn start() -> io::Result<Self> {
        Self::bind(("127.0.0.1", 0))
    }

    /// Serves on this address.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_with(address, Recorder::default())
    }

    /// Serves on this address with a recorder that was prepared.
    pub fn bind_with(address: impl ToSocketAddrs, recorder: Recorder) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let upstream = Self {
            address: listener.local_addr()?,
            recorder,
            stopped: Arc::default(),
        };
        let (recorder, stopped) = (upstream.recorder.clone(), Arc::clone(&upstream.stopped));
        thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || accept(&listener, &recorder, &stopped))?;
        Ok(upstream)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits in `accept`; if that fails, it ends with the process.
        let _ = std::net::TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, recorder: &Recorder, stopped: &AtomicBool) {
    for stream in listener.incoming() {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        // One that ended before it was accepted is the client's affair.
        let Ok(stream) = stream else { continue };
        let recorder = recorder.clone();
        // Without a thread the connection ends here, which the client sees.
        let _ = thread::Builder::new()
            .name("upstream connection".to_owned())
            .spawn(move || connection::serve(stream, &recorder));
    }
}
