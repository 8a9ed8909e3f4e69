//! Pre-encoded requests that are replayed with new trace ids and times.
//!
//! A body sent twice as it is would be recognised as a repetition (I4). So the places of trace ids and times
//! are found once, and each replay overwrites them: a few thousand stores, next to nothing beside sending.

use anyhow::bail;
use skein_event::any_value::{Fields, WireValue};
use skein_workload::narrow::NarrowConfig;

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

    /// When its first span began.
    pub(crate) fn start_ns(&self) -> i64 {
        let at = self.times.first().copied().unwrap_or_default();
        let mut time = [0; 8];
        time.iter_mut().zip(self.body.get(at..at + 8).unwrap_or_default()).for_each(|(to, from)| *to = *from);
        i64::from_le_bytes(time)
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

    /// Notes where a span has its trace id (field 1) and times (fields 7 and 8).
    fn find_places(&mut self, span: &[u8], at: usize) {
        let mut fields = Fields::new(span);
        while let Some(field) = fields.next() {
            let end = at + fields.position();
            match field {
                (1, WireValue::Bytes(id)) => self.trace_ids.push(end - id.len()),
                (7 | 8, WireValue::Fixed64(_)) => self.times.push(end - 8),
                _ => {}
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
pub(crate) fn generate(config: &NarrowConfig) -> anyhow::Result<Vec<Template>> {
    let mut templates = Vec::new();
    for request in config.requests() {
        let mut template =
            Template { trace_ids: Vec::new(), times: Vec::new(), spans: request.spans, body: Vec::new() };
        for_each(&request.body, 0, 1, &mut |group, at| {
            for_each(group, at, 2, &mut |scope, at| {
                for_each(scope, at, 2, &mut |span, at| template.find_places(span, at))
            });
        });
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

/// Calls `visit` with each sub-message of a field and its place in the whole body.
fn for_each(message: &[u8], at: usize, wanted: u32, visit: &mut dyn FnMut(&[u8], usize)) {
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next() {
        if let WireValue::Bytes(part) = value
            && number == wanted
        {
            visit(part, at + fields.position() - part.len());
        }
    }
}
