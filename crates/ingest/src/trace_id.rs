//! Finds the trace id of a log record that has none of its own, in its attributes or its body.
//!
//! Loggers write it under the names of their tracer (SEMANTICS.md, "Columns with a fixed meaning"). Order of
//! the names is the order of trust; attributes go before the body.

use skein_event::ids::parse_trace_id;

use crate::attribute::Value;

/// Names, most trusted first.
const NAMES: [&str; 6] =
    ["traceId", "trace_id", "otelTraceID", "dd.trace_id", "xrayTraceId", "X-Amzn-Trace-Id"];

/// The best id offered so far.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    best: Option<(usize, [u8; 16])>,
}

impl Candidates {
    /// Offers a field; one without a trace's name, or whose value is no id, changes nothing. Of equal trust
    /// the first one counts.
    #[inline]
    pub(crate) fn offer(&mut self, name: &[u8], value: Value<'_>) {
        let Some(rank) = rank(name) else { return };
        if self.best.is_some_and(|(best, _)| best <= rank) {
            return;
        }
        if let Some(id) = parse(NAMES[rank], value) {
            self.best = Some((rank, id));
        }
    }

    pub(crate) fn best(&self) -> Option<[u8; 16]> {
        self.best.map(|(_, id)| id)
    }
}

#[inline]
fn rank(name: &[u8]) -> Option<usize> {
    // All names have 7 to 15 bytes and one of these beginnings: most attributes end here.
    if !(7..=15).contains(&name.len()) || !matches!(name.first(), Some(b't' | b'o' | b'd' | b'x' | b'X')) {
        return None;
    }
    NAMES.iter().position(|known| {
        let is_header = *known == "X-Amzn-Trace-Id";
        known.as_bytes() == name || (is_header && known.as_bytes().eq_ignore_ascii_case(name))
    })
}

fn parse(name: &str, value: Value<'_>) -> Option<[u8; 16]> {
    match (name, value) {
        ("dd.trace_id", Value::I64(number)) => from_u64(number.cast_unsigned()),
        ("dd.trace_id", Value::Text(text)) => {
            let text = std::str::from_utf8(text).ok()?;
            // Datadog logs the low 64 bits in decimal, newer tracers all 128 in hex.
            match text.parse::<u64>() {
                Ok(number) if text.len() < 32 => from_u64(number),
                _ => parse_trace_id(text),
            }
        }
        ("X-Amzn-Trace-Id" | "xrayTraceId", Value::Text(text)) => {
            let text = std::str::from_utf8(text).ok()?;
            let root = text.split(';').find_map(|field| field.trim().strip_prefix("Root="));
            parse_trace_id(root.unwrap_or(text).trim())
        }
        (_, Value::Text(text)) => parse_trace_id(std::str::from_utf8(text).ok()?),
        _ => None,
    }
}

fn from_u64(number: u64) -> Option<[u8; 16]> {
    (number != 0).then(|| u128::from(number).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids_under_every_name() {
        let hex = b"5759e988bd862e3fe1be46a994272793";
        let id = parse_trace_id("5759e988bd862e3fe1be46a994272793");
        let low = parse_trace_id("000000000000000000000000000004d2");
        let cases: &[(&str, Value<'_>, Option<[u8; 16]>)] = &[
            ("traceId", Value::Text(hex), id),
            ("trace_id", Value::Text(hex), id),
            ("otelTraceID", Value::Text(hex), id),
            ("dd.trace_id", Value::Text(b"1234"), low),
            ("dd.trace_id", Value::I64(1234), low),
            ("dd.trace_id", Value::Text(hex), id),
            ("xrayTraceId", Value::Text(b"1-5759e988-bd862e3fe1be46a994272793"), id),
            (
                "X-Amzn-Trace-Id",
                Value::Text(b"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
                id,
            ),
            ("x-amzn-trace-id", Value::Text(b"Self=1-2; Root=1-5759e988-bd862e3fe1be46a994272793"), id),
            ("traceId", Value::Text(b"not an id"), None),
            ("traceId", Value::Text(b"00000000000000000000000000000000"), None),
            ("dd.trace_id", Value::Text(b"0"), None),
            ("traceid", Value::Text(hex), None),
            ("traceId", Value::I64(7), None),
        ];
        for (name, value, expected) in cases {
            let mut candidates = Candidates::default();
            candidates.offer(name.as_bytes(), *value);
            assert_eq!(candidates.best(), *expected, "{name} {value:?}");
        }
    }

    #[test]
    fn the_most_trusted_name_wins() {
        let mut candidates = Candidates::default();
        candidates.offer(b"dd.trace_id", Value::I64(1));
        candidates.offer(b"trace_id", Value::Text(b"00000000000000000000000000000002"));
        candidates.offer(b"otelTraceID", Value::Text(b"00000000000000000000000000000003"));
        assert_eq!(candidates.best(), Some(2_u128.to_be_bytes()));
    }
}
