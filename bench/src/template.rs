//! Pre-encoded requests that are replayed with new trace ids and times.
//!
//! A body sent twice as it is would be recognised as a repetition (I4). So the places of trace ids and times
//! are found once, and each replay overwrites them: a few thousand stores, next to nothing beside sending.

use anyhow::{Context as _, bail};
use skein_workload::wide::WideConfig;

/// One request and the places to overwrite.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    body: Vec<u8>,
    trace_ids: Vec<usize>,
    times: Vec<usize>,
    /// Spans in it.
    pub(crate) spans: usize,
}

impl Template {
    /// The request as generated.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Writes the request of a replay into `out`: other traces, later times.
    pub(crate) fn replay(&self, number: u64, shift_ns: i64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.body);
        for &place in &self.trace_ids {
            if let Some(half) = out.get_mut(place..place + 8) {
                let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
                half.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            }
        }
        for &place in &self.times {
            if let Some(bytes) = out.get_mut(place..place + 8) {
                let mut time = [0; 8];
                time.copy_from_slice(bytes);
                bytes.copy_from_slice(&u64::from_le_bytes(time).wrapping_add_signed(shift_ns).to_le_bytes());
            }
        }
    }

    /// The trace id of the first span of a request written by [`Template::replay`].
    pub(crate) fn first_trace_id(&self, replayed: &[u8]) -> String {
        let place = self.trace_ids.first().copied().unwrap_or_default();
        skein_event::ids::encode_hex(replayed.get(place..place + 16).unwrap_or_default())
    }
}

/// Generates the requests.
pub(crate) fn generate(config: &WideConfig) -> anyhow::Result<Vec<Template>> {
    let mut templates = Vec::new();
    for request in config.requests() {
        let mut template =
            Template { trace_ids: Vec::new(), times: Vec::new(), spans: request.spans, body: Vec::new() };
        for_each(&request.body, 0, 1, &mut |group, at| {
            for_each(group, at, 2, &mut |scope, at| {
                for_each(scope, at, 2, &mut |span, at| find_places(span, at, &mut template))
            })
        })?;
        if template.trace_ids.len() != request.spans {
            bail!("{} trace ids in {} spans", template.trace_ids.len(), request.spans);
        }
        template.body = request.body;
        templates.push(template);
    }
    if templates.is_empty() {
        bail!("no events: --rows must be positive");
    }
    Ok(templates)
}

/// Notes where a span has its trace id (field 1) and times (fields 7 and 8).
fn find_places(span: &[u8], at: usize, template: &mut Template) -> anyhow::Result<()> {
    let mut place = 0;
    while place < span.len() {
        let (number, wire_type, value, next) = field(span, place)?;
        match (number, wire_type) {
            (1, 2) => template.trace_ids.push(at + value),
            (7 | 8, 1) => template.times.push(at + value),
            _ => {}
        }
        place = next;
    }
    Ok(())
}

/// Calls `visit` with each sub-message of a field and its place in the whole body.
fn for_each(
    message: &[u8],
    at: usize,
    wanted: u64,
    visit: &mut dyn FnMut(&[u8], usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut place = 0;
    while place < message.len() {
        let (number, wire_type, value, next) = field(message, place)?;
        if number == wanted && wire_type == 2 {
            visit(&message[value..next], at + value)?;
        }
        place = next;
    }
    Ok(())
}

/// Field number, wire type, place of the value, place of the next field.
fn field(message: &[u8], place: usize) -> anyhow::Result<(u64, u64, usize, usize)> {
    let (tag, value) = varint(message, place)?;
    let (value, next) = match tag & 7 {
        0 => (value, varint(message, value)?.1),
        1 => (value, value + 8),
        2 => {
            let (length, start) = varint(message, value)?;
            (start, start + usize::try_from(length)?)
        }
        5 => (value, value + 4),
        other => bail!("wire type {other}"),
    };
    if next > message.len() {
        bail!("a field ends behind its message");
    }
    Ok((tag >> 3, tag & 7, value, next))
}

fn varint(message: &[u8], mut place: usize) -> anyhow::Result<(u64, usize)> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *message.get(place).context("a varint ends behind its message")?;
        place += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value, place));
        }
    }
    bail!("a varint longer than 64 bits")
}
