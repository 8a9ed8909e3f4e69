//! Identifiers. Each is a type of its own, so that an offset cannot be taken for an index.

use std::fmt;
use std::sync::Arc;

/// A tenant: data of one environment is never visible in another (invariant I10).
///
/// Lower-case letters, digits, `-` and `_`, at most 64 bytes, because it names a folder on disk.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Environment(Arc<str>);

impl Environment {
    /// The environment of a server on loopback without keys.
    pub const DEFAULT: &'static str = "default";
    /// Where Skein's own events go (DESIGN.md, I10).
    pub const SKEIN: &'static str = "skein";
    /// Where simulated services go when somebody asks for the demo; apart from everybody's own events.
    pub const DEMO: &'static str = "demo";

    /// Checks the name. `None` when it could not name a folder.
    pub fn new(name: &str) -> Option<Environment> {
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        fits.then(|| Environment(Arc::from(name)))
    }

    /// The environment `default`.
    pub fn default_environment() -> Environment {
        Environment(Arc::from(Environment::DEFAULT))
    }

    /// The environment `skein`.
    pub fn skein() -> Environment {
        Environment(Arc::from(Environment::SKEIN))
    }

    /// The environment `demo`.
    pub fn demo() -> Environment {
        Environment(Arc::from(Environment::DEMO))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of the log's partitions; all events of a trace share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Partition(pub u16);

/// The place of a batch part in its partition's log: 0, 1, 2, … one per appended record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Offset(pub u64);

/// The identity of an event: `partition-offset-index`.
///
/// `index` is the place of the event among those of its log record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventId {
    /// The log partition.
    pub partition: Partition,
    /// The log record.
    pub offset: Offset,
    /// The event within the record.
    pub index: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.partition.0, self.offset.0, self.index)
    }
}

/// Parses a trace id in any form a client uses: 32 hex digits, 16 (padded on the left), or X-Ray's
/// `1-8hex-24hex`. The case of digits does not matter. All zeros is no id.
///
/// Source: W3C Trace Context level 2 §3.2.2.3; AWS X-Ray developer guide, "trace ID format".
pub fn parse_trace_id(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let mut hex = [b'0'; 32];
    match bytes.len() {
        32 => hex.copy_from_slice(bytes),
        16 => hex[16..].copy_from_slice(bytes),
        35 if bytes.starts_with(b"1-") && bytes[10] == b'-' => {
            hex[..8].copy_from_slice(&bytes[2..10]);
            hex[8..].copy_from_slice(&bytes[11..]);
        }
        _ => return None,
    }
    let id = decode_hex::<16>(&hex)?;
    (id != [0; 16]).then_some(id)
}

/// Parses a span id of 16 hex digits. All zeros is no id.
pub fn parse_span_id(text: &str) -> Option<[u8; 8]> {
    let id = decode_hex::<8>(text.as_bytes())?;
    (id != [0; 8]).then_some(id)
}

/// Writes bytes as lower-case hex digits.
pub fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn decode_hex<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    if hex.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids_of_every_form_are_one_id() {
        let plain = parse_trace_id("5759e988bd862e3fe1be46a994272793");
        assert!(plain.is_some());
        assert_eq!(plain, parse_trace_id("1-5759e988-bd862e3fe1be46a994272793"));
        assert_eq!(plain, parse_trace_id("5759E988BD862E3FE1BE46A994272793"));
        assert_eq!(parse_trace_id("e1be46a994272793"), parse_trace_id("0000000000000000e1be46a994272793"));
        for bad in ["", "00000000000000000000000000000000", "xyz", "5759e988bd862e3fe1be46a99427279g", "é"] {
            assert_eq!(parse_trace_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_environment_names_a_folder() {
        assert!(Environment::new("prod-eu_1").is_some());
        for bad in ["", "..", "a/b", "Prod", &"x".repeat(65)] {
            assert!(Environment::new(bad).is_none(), "{bad}");
        }
    }
}
