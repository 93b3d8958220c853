//! proxy-wasm's host calls (ABI 0.2.1), bytes only. A status other than OK is a value.

use std::ptr::{null, null_mut};

/// A status the host gave that is not OK, by its number in the ABI (1 not found, 2 bad argument, …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u32);

impl Refused {
    /// Not asked of the host at all.
    pub const OUT_OF_PHASE: Self = Self(2);
}

/// The header maps of an HTTP stream, by their numbers in the ABI.
#[derive(Clone, Copy, Debug)]
pub enum Map {
    Request = 0,
    Response = 2,
    ResponseTrailers = 3,
    CalloutAnswer = 6,
}

/// The buffers read here, by their numbers in the ABI.
#[derive(Clone, Copy, Debug)]
pub enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    CalloutAnswerBody = 4,
    PluginConfiguration = 7,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, pairs: *const u8, size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

const OK: u32 = 0;

fn done(status: u32) -> Result<(), Refused> {
    match status {
        OK => Ok(()),
        other => Err(Refused(other)),
    }
}

/// Takes over bytes that the host wrote into memory it asked of our allocator.
fn take(status: u32, data: *mut u8, size: usize) -> Result<Vec<u8>, Refused> {
    done(status)?;
    if data.is_null() || size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the host got `data` from `proxy_on_memory_allocate`, which hands out a boxed slice of exactly `size`
    // bytes, and gives up ownership with this call (ABI 0.2.1, "memory ownership").
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// The ABI's number.
fn number(level: log::Level) -> u32 {
    match level {
        log::Level::Trace => 0,
        log::Level::Debug => 1,
        log::Level::Info => 2,
        log::Level::Warn => 3,
        log::Level::Error => 4,
    }
}

pub fn log(level: log::Level, line: &str) {
    // SAFETY: pointer and length belong to one live slice. There is nowhere to report a failure to log.
    let _ = unsafe { proxy_log(number(level), line.as_ptr(), line.len()) };
}

/// Whether the host writes lines of that level now; a host that does not say is taken to.
pub fn writes(level: log::Level) -> bool {
    let mut least = 0;
    // SAFETY: `least` is a live u32.
    let status = unsafe { proxy_get_log_level(&mut least) };
    status != OK || number(level) >= least
}

/// Nanoseconds since the Unix epoch; 0 where the host has no clock.
pub fn now() -> u64 {
    let mut time = 0;
    // SAFETY: `time` is a live u64.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut time) };
    if status == OK { time } else { 0 }
}

pub fn set_tick_period(milliseconds: u32) -> Result<(), Refused> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

pub fn buffer(buffer: Buffer, start: usize, max_size: usize) -> Result<Vec<u8>, Refused> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both are live; the result is taken over by `take`.
    let status =
        unsafe { proxy_get_buffer_bytes(buffer as u32, start, max_size, &mut data, &mut size) };
    take(status, data, size)
}

pub fn set_buffer(buffer: Buffer, start: usize, size: usize, data: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointer and length belong to one live slice.
    done(unsafe { proxy_set_buffer_bytes(buffer as u32, start, size, data.as_ptr(), data.len()) })
}

/// All lines of a map in the ABI's serialized form.
pub fn header_map(map: Map) -> Result<Vec<u8>, Refused> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: both are live; the result is taken over by `take`.
    let status = unsafe { proxy_get_header_map_pairs(map as u32, &mut data, &mut size) };
    take(status, data, size)
}

pub fn header(map: Map, name: &str) -> Result<Vec<u8>, Refused> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: pointer and length belong to one live slice; the result is taken over by `take`.
    let status = unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), &mut data, &mut size)
    };
    take(status, data, size)
}

pub fn set_header(map: Map, name: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointers and lengths belong to live slices.
    done(unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

pub fn add_header(map: Map, name: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointers and lengths belong to live slices.
    done(unsafe {
        proxy_add_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

pub fn remove_header(map: Map, name: &str) -> Result<(), Refused> {
    // SAFETY: pointer and length belong to one live slice.
    done(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Removes every line of a map.
pub fn clear(map: Map) -> Result<(), Refused> {
    // A serialized map of no lines.
    let none = [0_u8; 4];
    // SAFETY: pointer and length belong to one live array.
    done(unsafe { proxy_set_header_map_pairs(map as u32, none.as_ptr(), none.len()) })
}

/// A property by its path; the ABI joins the segments with NUL.
pub fn property(path: &[&str]) -> Result<Vec<u8>, Refused> {
    let path = path.join("\0");
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: pointer and length belong to one live slice; the result is taken over by `take`.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &mut data, &mut size) };
    take(status, data, size)
}

/// Sets a property of one segment.
pub fn set_property(key: &str, value: &[u8]) -> Result<(), Refused> {
    // SAFETY: pointers and lengths belong to live slices.
    done(unsafe { proxy_set_property(key.as_ptr(), key.len(), value.as_ptr(), value.len()) })
}

/// A shared value and its version.
pub fn shared(key: &[u8]) -> Result<(Vec<u8>, u32), Refused> {
    let (mut data, mut size, mut version) = (null_mut(), 0, 0);
    // SAFETY: pointer and length belong to one live slice, the rest is live; the result is taken over by `take`.
    let status = unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), &mut data, &mut size, &mut version)
    };
    take(status, data, size).map(|value| (value, version))
}

/// Writes a shared value of that version.
pub fn share(key: &[u8], value: &[u8], version: u32) -> Result<(), Refused> {
    // SAFETY: pointers and lengths belong to live slices.
    done(unsafe {
        proxy_set_shared_data(
            key.as_ptr(),
            key.len(),
            value.as_ptr(),
            value.len(),
            version,
        )
    })
}

/// Answers the request; `headers` in the ABI's serialized form, `grpc_status` -1 for what the host makes of `status`.
pub fn reply(
    status: u16,
    details: &str,
    headers: &[u8],
    body: &[u8],
    grpc_status: i32,
) -> Result<(), Refused> {
    let body_data = if body.is_empty() {
        null()
    } else {
        body.as_ptr()
    };
    // SAFETY: pointers and lengths belong to live slices.
    done(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body_data,
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

/// Sends an HTTP request to a cluster and gives its token; `headers` in the ABI's serialized form.
pub fn call(cluster: &str, headers: &[u8], body: &[u8], timeout_ms: u32) -> Result<u32, Refused> {
    // A serialized map of no trailers.
    let trailers = [0_u8; 4];
    let mut token = 0;
    // SAFETY: pointers and lengths belong to live slices; `token` is a live u32.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &mut token,
        )
    };
    done(status).map(|()| token)
}

/// Makes the following host calls count for another context of this VM.
pub fn set_effective_context(context: u32) -> Result<(), Refused> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_set_effective_context(context) })
}

/// Lets the request of the effective context go on.
pub fn continue_request() -> Result<(), Refused> {
    const REQUEST: u32 = 0;
    // SAFETY: no memory is passed.
    done(unsafe { proxy_continue_stream(REQUEST) })
}

pub fn define_metric(kind: u32, name: &str) -> Result<u32, Refused> {
    let mut id = 0;
    // SAFETY: pointer and length belong to one live slice; `id` is a live u32.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    done(status).map(|()| id)
}

/// Moves a counter up, or a gauge up or down.
pub fn increment_metric(id: u32, by: i64) -> Result<(), Refused> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_increment_metric(id, by) })
}

pub fn record_metric(id: u32, value: u64) -> Result<(), Refused> {
    // SAFETY: no memory is passed.
    done(unsafe { proxy_record_metric(id, value) })
}
