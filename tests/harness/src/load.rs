//! Many clients at once, each on a connection of its own, that send as fast as answers come.
//!
//! One thread serves all of them, so that the proxy's workers keep the other cores. It knows just enough of HTTP/1.1:
//! answers carry a `content-length`.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A proxy that hangs must fail the test, not hold it.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Most answers fit in it.
const BUFFER: usize = 4 * 1024;

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    /// All up to and with the empty line.
    pub head: &'a [u8],
    pub body: &'a [u8],
    /// From the request's first byte sent to the answer's last byte read.
    pub took: Duration,
}

impl Answer<'_> {
    /// The value of the first line of that name, which is in lower case as Envoy writes it.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// Sends requests from so many connections until there is no next one. `next` appends the bytes of a request and gives
/// what it is called; `answered` is told what came of it. Gives those that were sent and not answered, because the
/// connection ended: nobody knows whether they were counted. Panics if the proxy hangs.
#[track_caller]
pub fn run<T>(
    port: u16,
    connections: usize,
    next: impl FnMut(&mut Vec<u8>) -> Option<T>,
    answered: impl FnMut(T, Answer<'_>),
) -> Vec<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let shared = RefCell::new(Shared {
        next,
        answered,
        lost: Vec::new(),
    });
    let clients: FuturesUnordered<_> = (0..connections).map(|_| client(port, &shared)).collect();
    runtime.block_on(clients.for_each(|()| async {}));
    shared.into_inner().lost
}

struct Shared<T, N, A> {
    next: N,
    answered: A,
    lost: Vec<T>,
}

/// One client: request after request, with a new connection where the proxy ended the last one.
async fn client<T, N, A>(port: u16, shared: &RefCell<Shared<T, N, A>>)
where
    N: FnMut(&mut Vec<u8>) -> Option<T>,
    A: FnMut(T, Answer<'_>),
{
    let mut connection = None;
    let mut request = Vec::new();
    let mut answer = Vec::with_capacity(BUFFER);
    loop {
        request.clear();
        let Some(name) = (shared.borrow_mut().next)(&mut request) else {
            return;
        };
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => open(port).await,
        };
        let began = Instant::now();
        let exchange = exchange(&mut stream, &request, &mut answer);
        let head = tokio::time::timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| panic!("no answer within {TIMEOUT:?}"));
        let Ok(head) = head else {
            shared.borrow_mut().lost.push(name);
            continue;
        };
        let (head, body) = answer.split_at(head);
        let answer = Answer {
            status: status(head),
            head,
            body,
            took: began.elapsed(),
        };
        if answer.header("connection") != Some("close") {
            connection = Some(stream);
        }
        (shared.borrow_mut().answered)(name, answer);
    }
}

async fn open(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap_or_else(|error| panic!("127.0.0.1:{port}: {error}"));
    // Without it requests only come later.
    let _ = stream.set_nodelay(true);
    stream
}

/// Sends the request and reads the whole answer into `answer`; gives the length of its head.
async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    answer: &mut Vec<u8>,
) -> std::io::Result<usize> {
    answer.clear();
    stream.write_all(request).await?;
    let mut head = None;
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
        head = head.or_else(|| end.map(|at| at + 4));
        if let Some(head) = head {
            let length = header(&answer[..head], "content-length").map_or(0, |text| {
                text.parse::<usize>().expect("a content-length is a number")
            });
            if answer.len() >= head + length {
                return Ok(head);
            }
        }
    }
}

fn status(head: &[u8]) -> u16 {
    head.strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok())
        .unwrap_or_else(|| panic!("{:?} is no head", crate::response::latin1(head)))
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    std::str::from_utf8(head)
        .ok()?
        .split("\r\n")
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
