//! An HTTP/2 client, in cleartext or over TLS.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::request::{HOST, Request};
use crate::response::{Ending, Response};
use crate::tls::Certificate;
use portcullis_upstream::Line;

/// A proxy that hangs must fail the test, not hold it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends the request with prior knowledge of HTTP/2 on a connection of its own and reads the whole answer. `host`
/// becomes `:authority`. Panics if there is no answer, or if HTTP/2 cannot carry the request.
#[track_caller]
pub fn send(port: u16, request: &Request) -> Response {
    run(exchange(port, None, request))
}

/// The same over TLS, trusting this certificate only. Panics if the proxy does not choose HTTP/2.
#[track_caller]
pub fn send_tls(port: u16, certificate: &Certificate, request: &Request) -> Response {
    run(exchange(port, Some(certificate), request))
}

#[track_caller]
fn run(exchange: impl Future<Output = Result<Response, h2::Error>>) -> Response {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => panic!("HTTP/2: {error}"),
            Err(_) => panic!("HTTP/2: no answer within {TIMEOUT:?}"),
        }
    })
}

async fn exchange(
    port: u16,
    certificate: Option<&Certificate>,
    request: &Request,
) -> Result<Response, h2::Error> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("a connection");
    let Some(certificate) = certificate else {
        return on(stream, "http", request).await;
    };
    let (config, name) = certificate.http2_client();
    let stream = TlsConnector::from(config).connect(name, stream).await;
    let stream = stream.expect("the TLS handshake failed");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    on(stream, "https", request).await
}

async fn on<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    scheme: &str,
    request: &Request,
) -> Result<Response, h2::Error> {
    let (client, connection) = h2::client::Builder::new()
        .max_header_list_size(4 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    tokio::spawn(async move {
        // Its errors also reach the stream.
        let _ = connection.await;
    });
    let mut client = client.ready().await?;
    let (answer, mut body) = client.send_request(head(scheme, request), request.body.is_empty())?;
    if !request.body.is_empty() {
        body.send_data(Bytes::copy_from_slice(&request.body), true)?;
    }
    let (parts, mut receive) = answer.await?.into_parts();
    let mut response = Response {
        head: Vec::new(),
        status: parts.status.as_u16(),
        headers: lines(&parts.headers),
        body: Vec::new(),
        trailers: Vec::new(),
        interim: Vec::new(),
        ending: Ending::Complete,
    };
    while let Some(data) = receive.data().await {
        let Ok(data) = data else {
            response.ending = Ending::Reset;
            return Ok(response);
        };
        receive.flow_control().release_capacity(data.len())?;
        response.body.extend(data);
    }
    match receive.trailers().await {
        Ok(trailers) => response.trailers = trailers.as_ref().map(lines).unwrap_or_default(),
        Err(_) => response.ending = Ending::Reset,
    }
    Ok(response)
}

fn head(scheme: &str, request: &Request) -> http::Request<()> {
    let is_host = |name: &[u8]| name.eq_ignore_ascii_case(b"host");
    let host = request.headers.iter().find(|(name, _)| is_host(name));
    let host = host.map_or(HOST.as_bytes(), |(_, value)| value.as_slice());
    let mut uri = Uri::builder().authority(host);
    if request.method != "CONNECT" {
        uri = uri.scheme(scheme).path_and_query(request.target.as_slice());
    }
    let mut head = http::Request::new(());
    *head.method_mut() = Method::from_bytes(request.method.as_bytes()).expect("a method");
    *head.uri_mut() = uri.build().expect("a target");
    *head.version_mut() = http::Version::HTTP_2;
    for (name, value) in request.headers.iter().filter(|(name, _)| !is_host(name)) {
        head.headers_mut().append(
            HeaderName::from_bytes(name).expect("a header name"),
            HeaderValue::from_bytes(value).expect("a header value"),
        );
    }
    head
}

fn lines(map: &HeaderMap) -> Vec<Line> {
    map.iter()
        .map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec()))
        .collect()
}
