//! What the fuzz targets share.

use portcullis_kit::Headers;
use portcullis_kit::chain::Bundle;
use portcullis_kit::filter::Flow;
use portcullis_kit::headers::is_token;
use portcullis_kit::testing::{Bench, Fake};

/// Header lines written as `name: value`, one a line. A proxy's codecs see to it that names are tokens and that no value
/// has CR, LF or NUL; every other byte can come.
pub fn lines(block: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = block.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let colon = line.iter().skip(1).position(|byte| *byte == b':')? + 1;
            let (name, value) = line.split_at(colon);
            let token = is_token(name.strip_prefix(b":").unwrap_or(name));
            let value = value.get(1..).unwrap_or_default();
            (token && is_sound(value))
                .then(|| (name.to_ascii_lowercase(), value.trim_ascii_start().to_vec()))
        })
        .collect()
}

/// A GET with these lines beside the pseudo headers; a line may stand in for one of those.
pub fn request(lines: &[(Vec<u8>, Vec<u8>)]) -> Fake {
    let mut headers = Headers::from_lines([
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.example.com"),
        (":path", "/"),
    ]);
    for (name, value) in lines {
        match std::str::from_utf8(name) {
            Ok(name) if name.starts_with(':') => headers.set(name, value),
            _ => headers.add(name, value),
        }
    }
    let fake = Fake::request(headers.iter());
    // Ids that follow from the input: else the fuzzer learns them, and hands them in as a peer's.
    let bytes = lines
        .iter()
        .flat_map(|(name, value)| name.iter().chain(value));
    let seed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    fake.seed.set(seed);
    fake
}

/// A whole exchange: the upstream answers with these lines, unless the plugin answers itself.
pub fn exchange<B: Bundle>(
    bench: &Bench<B>,
    mut fake: Fake,
    response: &[(Vec<u8>, Vec<u8>)],
) -> Fake {
    let mut stream = B::Stream::default();
    let flow = bench.request(&mut fake, &mut stream);
    match (flow, fake.replies.last()) {
        (Flow::Replied, Some(reply)) => {
            let mut lines = vec![(b":status".to_vec(), reply.status.to_string().into_bytes())];
            let own = reply.headers.iter();
            lines.extend(own.map(|(name, value)| (name.to_vec(), value.to_vec())));
            fake.respond(lines);
        }
        (Flow::Replied, None) => panic!("a refusal without a reply"),
        _ => {
            let mut headers = Headers::from_lines([(":status", "200")]);
            for (name, value) in response {
                match name.as_slice() {
                    b":status" if is_final(value) => headers.set(":status", value),
                    b":status" => {}
                    _ => headers.add(name, value),
                }
            }
            fake.respond(headers.iter());
        }
    }
    bench.respond(&mut fake, &mut stream);
    bench.finish(&mut fake, &mut stream);
    fake
}

/// Whether a status ends an exchange; a proxy's filters see no other.
pub fn is_final(status: &[u8]) -> bool {
    matches!(status, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'])
}

/// Whether a value can stand in a header.
pub fn is_sound(value: &[u8]) -> bool {
    !value.iter().any(|byte| b"\r\n\0".contains(byte))
}
