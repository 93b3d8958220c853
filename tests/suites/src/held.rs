//! An upstream that answers when it is told to, so that a test knows how many requests are under way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// HTTP/1.1 on a free port. Health checks are answered at once, everything else waits.
pub struct Held {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    arrived: usize,
    released: usize,
}

impl Held {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many requests arrived so far, answered or not.
    pub fn arrived(&self) -> usize {
        self.state.0.lock().unwrap().arrived
    }

    /// Answers the first so many requests of all that arrive, now or later, with 503.
    pub fn release(&self, requests: usize) {
        self.state.0.lock().unwrap().released = requests;
        self.state.1.notify_all();
    }
}

/// One connection. Its requests have no body, or one that comes with the head.
fn serve(mut stream: TcpStream, (state, changed): &(Mutex<State>, Condvar)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = stream.read(&mut buffer)
        && read > 0
    {
        let status = if buffer[..read].starts_with(b"GET /healthz ") {
            "200 OK"
        } else {
            let mut held = state.lock().unwrap();
            held.arrived += 1;
            let mine = held.arrived;
            changed.notify_all();
            drop(
                changed
                    .wait_while(held, |held| held.released < mine)
                    .unwrap(),
            );
            "503 Service Unavailable"
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
