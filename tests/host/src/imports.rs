//! The ABI's host calls, as Envoy answers them.

use wasmtime::{Caller, Linker};

use crate::call::{Refusal, call, call_giving};
use crate::guest::{self, text, write_number};
use crate::lines::Lines;
use crate::plugin::State;
use crate::status::Status;
use crate::stream::{Map, Reply, Stream};
use crate::world::Callout;

type In<'a> = Caller<'a, State>;
type Result<T> = wasmtime::Result<T>;

pub fn define(linker: &mut Linker<State>) -> Result<()> {
    log_and_time(linker)?;
    headers(linker)?;
    buffers(linker)?;
    properties(linker)?;
    metrics(linker)?;
    shared_data(linker)?;
    streams(linker)
}

fn stream<'a>(caller: &'a mut In<'_>) -> std::result::Result<&'a mut Stream, Refusal> {
    let stream = caller.data_mut().stream.as_mut();
    stream.ok_or(Refusal::Status(Status::BAD_ARGUMENT))
}

fn log_and_time(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_log",
        |mut caller: In<'_>, level: u32, at: u32, size: u32| {
            call(&mut caller, "proxy_log", |caller| {
                let line = text(caller, at, size)?;
                caller.data_mut().world.logs.push((level, line));
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_log_level",
        |mut caller: In<'_>, to: u32| {
            call(&mut caller, "proxy_get_log_level", |caller| {
                write_number(caller, to, 0)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_current_time_nanoseconds",
        |mut caller: In<'_>, to: u32| {
            call(
                &mut caller,
                "proxy_get_current_time_nanoseconds",
                |caller| {
                    let now = caller.data().world.now;
                    guest::write(caller, to, &now.to_le_bytes())
                },
            )
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_tick_period_milliseconds",
        |mut caller: In<'_>, period: u32| {
            call(
                &mut caller,
                "proxy_set_tick_period_milliseconds",
                |caller| {
                    caller.data_mut().world.tick_period_ms = period;
                    Ok(())
                },
            )
        },
    )?;
    Ok(())
}

/// The map for reading. Of a callout's answer only headers are known.
fn readable(caller: &mut In<'_>, map: u32) -> std::result::Result<Lines, Refusal> {
    let found = match map {
        0 => stream(caller)?.read(Map::Request).cloned(),
        2 => stream(caller)?.read(Map::Response).cloned(),
        6 => caller
            .data()
            .answer
            .as_ref()
            .map(|(lines, _)| lines.clone()),
        _ => None,
    };
    let logging = caller.data().stream.as_ref().is_some_and(|s| s.logging);
    found.ok_or(Refusal::Status(if logging {
        Status::NOT_FOUND
    } else {
        Status::BAD_ARGUMENT
    }))
}

fn changeable<'a>(caller: &'a mut In<'_>, map: u32) -> std::result::Result<&'a mut Lines, Refusal> {
    let found = match map {
        0 => stream(caller)?.change(Map::Request),
        2 => stream(caller)?.change(Map::Response),
        _ => None,
    };
    found.ok_or(Refusal::Status(Status::BAD_ARGUMENT))
}

fn headers(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_pairs",
        |mut caller: In<'_>, map: u32, data: u32, size: u32| {
            let to = (data, size);
            call_giving(&mut caller, "proxy_get_header_map_pairs", to, |caller| {
                Ok(readable(caller, map)?.serialize())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut caller: In<'_>, map: u32, name: u32, name_size: u32, data: u32, size: u32| {
            let to = (data, size);
            call_giving(&mut caller, "proxy_get_header_map_value", to, |caller| {
                let name = guest::read(caller, name, name_size)?;
                let value = readable(caller, map)?.get(name).map(<[u8]>::to_vec);
                value.ok_or(Refusal::Status(Status::NOT_FOUND))
            })
        },
    )?;
    for name in [
        "proxy_replace_header_map_value",
        "proxy_add_header_map_value",
    ] {
        linker.func_wrap(
            "env",
            name,
            move |mut caller: In<'_>, map: u32, at: u32, size: u32, value: u32, value_size: u32| {
                call(&mut caller, name, |caller| {
                    let field = guest::read(caller, at, size)?;
                    let value = guest::read(caller, value, value_size)?;
                    let lines = changeable(caller, map)?;
                    match name {
                        "proxy_add_header_map_value" => lines.add(field, value),
                        _ => lines.set(field, value),
                    }
                    Ok(())
                })
            },
        )?;
    }
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |mut caller: In<'_>, map: u32, at: u32, size: u32| {
            call(&mut caller, "proxy_remove_header_map_value", |caller| {
                let name = guest::read(caller, at, size)?;
                changeable(caller, map)?.remove(name);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_header_map_pairs",
        |mut caller: In<'_>, map: u32, at: u32, size: u32| {
            call(&mut caller, "proxy_set_header_map_pairs", |caller| {
                let lines = Lines::parse(&guest::read(caller, at, size)?)?;
                *changeable(caller, map)? = lines;
                Ok(())
            })
        },
    )?;
    Ok(())
}

/// What stands in a buffer.
fn buffer(caller: &mut In<'_>, buffer: u32) -> std::result::Result<Vec<u8>, Refusal> {
    let found = match buffer {
        0 => Some(stream(caller)?.request_body.clone().unwrap_or_default()),
        1 => Some(stream(caller)?.response_body.clone().unwrap_or_default()),
        4 => caller.data().answer.as_ref().map(|(_, body)| body.clone()),
        6 => Some(Vec::new()),
        7 => Some(caller.data().world.configuration.clone()),
        _ => None,
    };
    found.ok_or(Refusal::Status(Status::NOT_FOUND))
}

fn buffers(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut caller: In<'_>, which: u32, start: u32, most: u32, data: u32, size: u32| {
            let to = (data, size);
            call_giving(&mut caller, "proxy_get_buffer_bytes", to, |caller| {
                let bytes = buffer(caller, which)?;
                let end = start.checked_add(most);
                let end = end.ok_or(Refusal::Status(Status::BAD_ARGUMENT))? as usize;
                let end = end.min(bytes.len());
                Ok(bytes.get(start as usize..end).unwrap_or_default().to_vec())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |mut caller: In<'_>, which: u32, start: u32, length: u32, data: u32, size: u32| {
            call(&mut caller, "proxy_set_buffer_bytes", |caller| {
                let by = guest::read(caller, data, size)?;
                let stream = stream(caller)?;
                let body = match which {
                    0 => stream.request_body.as_mut(),
                    1 => stream.response_body.as_mut(),
                    _ => None,
                };
                let body = body.ok_or(Refusal::Status(Status::BAD_ARGUMENT))?;
                Ok(replace(body, start as usize, length as usize, by)?)
            })
        },
    )?;
    Ok(())
}

/// Envoy can put bytes before a buffer, after it, or in its place; not into its middle.
fn replace(
    body: &mut Vec<u8>,
    start: usize,
    length: usize,
    by: Vec<u8>,
) -> std::result::Result<(), Status> {
    match (start, length) {
        (0, 0) => drop(body.splice(0..0, by)),
        (0, length) if length >= body.len() => *body = by,
        (start, _) if start > 0 && start >= body.len() => body.extend(by),
        _ => return Err(Status::BAD_ARGUMENT),
    }
    Ok(())
}

fn properties(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |mut caller: In<'_>, at: u32, size: u32, data: u32, data_size: u32| {
            let to = (data, data_size);
            call_giving(&mut caller, "proxy_get_property", to, |caller| {
                let path = guest::read(caller, at, size)?;
                if path == b"plugin_root_id" {
                    return Ok(caller.data().world.root_id.clone().into_bytes());
                }
                let stream = caller.data().stream.as_ref();
                let value = stream.and_then(|stream| {
                    let own = String::from_utf8_lossy(&path);
                    let own = stream.filter_state.get(own.as_ref());
                    stream.properties.get(&path).or(own).cloned()
                });
                value.ok_or(Refusal::Status(Status::NOT_FOUND))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |mut caller: In<'_>, at: u32, size: u32, value: u32, value_size: u32| {
            call(&mut caller, "proxy_set_property", |caller| {
                let path = text(caller, at, size)?;
                let value = guest::read(caller, value, value_size)?;
                let stream = caller.data_mut().stream.as_mut();
                let stream = stream.ok_or(Refusal::Status(Status::NOT_FOUND))?;
                stream.filter_state.insert(path, value);
                Ok(())
            })
        },
    )?;
    Ok(())
}

fn metrics(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut caller: In<'_>, kind: u32, at: u32, size: u32, to: u32| {
            call(&mut caller, "proxy_define_metric", |caller| {
                let name = text(caller, at, size)?;
                let id = caller.data_mut().world.metrics.define(kind, name)?;
                write_number(caller, to, id)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_increment_metric",
        |mut caller: In<'_>, id: u32, by: i64| {
            call(&mut caller, "proxy_increment_metric", |caller| {
                Ok(caller.data_mut().world.metrics.increment(id, by)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_record_metric",
        |mut caller: In<'_>, id: u32, value: u64| {
            call(&mut caller, "proxy_record_metric", |caller| {
                Ok(caller.data_mut().world.metrics.record(id, value)?)
            })
        },
    )?;
    Ok(())
}

fn shared_data(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |mut caller: In<'_>, at: u32, size: u32, data: u32, data_size: u32, cas: u32| {
            let to = (data, data_size);
            call_giving(&mut caller, "proxy_get_shared_data", to, |caller| {
                let key = guest::read(caller, at, size)?;
                let found = caller.data().world.shared.get(&key);
                let (value, number) = found.ok_or(Refusal::Status(Status::NOT_FOUND))?;
                write_number(caller, cas, number)?;
                Ok(value)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut caller: In<'_>, at: u32, size: u32, value: u32, value_size: u32, cas: u32| {
            call(&mut caller, "proxy_set_shared_data", |caller| {
                let key = guest::read(caller, at, size)?;
                let value = guest::read(caller, value, value_size)?;
                Ok(caller.data().world.shared.set(key, value, cas)?)
            })
        },
    )?;
    Ok(())
}

fn streams(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |mut caller: In<'_>,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         _grpc_status: i32| {
            call(&mut caller, "proxy_send_local_response", |caller| {
                let reply = Reply {
                    status,
                    details: text(caller, details, details_size)?,
                    headers: Lines::parse(&guest::read(caller, headers, headers_size)?)?,
                    body: guest::read(caller, body, body_size)?,
                };
                // A second one is taken and not sent.
                stream(caller)?.reply.get_or_insert(reply);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_effective_context",
        |mut caller: In<'_>, _context: u32| {
            // There is never more than one stream here.
            call(&mut caller, "proxy_set_effective_context", |_| Ok(()))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_continue_stream",
        |mut caller: In<'_>, _stream: u32| {
            call(&mut caller, "proxy_continue_stream", |caller| {
                if let Some(stream) = &mut caller.data_mut().stream {
                    stream.resumed = true;
                }
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |mut caller: In<'_>,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         _trailers: u32,
         _trailers_size: u32,
         timeout_ms: u32,
         to: u32| {
            call(&mut caller, "proxy_http_call", |caller| {
                let cluster = text(caller, cluster, cluster_size)?;
                let headers = Lines::parse(&guest::read(caller, headers, headers_size)?)?;
                let body = guest::read(caller, body, body_size)?;
                let token = send(caller.data_mut(), cluster, headers, body, timeout_ms)?;
                write_number(caller, to, token)
            })
        },
    )?;
    Ok(())
}

fn send(
    state: &mut State,
    cluster: String,
    headers: Lines,
    body: Vec<u8>,
    timeout_ms: u32,
) -> std::result::Result<u32, Status> {
    let needed = [":method", ":path", ":authority"];
    if !state.world.clusters.contains(&cluster)
        || needed.iter().any(|name| headers.get(name).is_none())
    {
        return Err(Status::BAD_ARGUMENT);
    }
    state.world.last_token += 1;
    let token = state.world.last_token;
    state.world.callouts.push(Callout {
        token,
        cluster,
        headers,
        body,
        timeout_ms,
    });
    Ok(token)
}
