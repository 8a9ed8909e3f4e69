//! Writes protobuf straight into a buffer: the generator must not be the bottleneck, and building prost
//! messages of fifty attributes costs more than the server takes to read them.
//!
//! Only what the wide events need of opentelemetry-proto 1.11; tests decode it with the checked-in types.

/// Appends a base-128 varint.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

fn low_byte(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// How many bytes [`varint`] appends.
pub(super) fn varint_len(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn length(value: usize) -> u64 {
    crate::export::unsigned(value)
}

/// Appends a length-delimited field; `number` is below 16.
pub(super) fn bytes_field(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, length(content.len()));
    out.extend_from_slice(content);
}

/// Appends a varint field; `number` is below 16.
pub(super) fn varint_field(out: &mut Vec<u8>, number: u8, value: u64) {
    out.push(number << 3);
    varint(out, value);
}

/// Appends a fixed64 field; `number` is below 16.
pub(super) fn fixed64_field(out: &mut Vec<u8>, number: u8, value: u64) {
    out.push(number << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// An attribute's key as it is written before every value: the key's field, and the tag of the value's.
#[derive(Clone, Debug)]
pub(super) struct Key(Box<[u8]>);

impl Key {
    pub(super) fn new(name: &str) -> Key {
        let mut bytes = Vec::with_capacity(name.len() + 4);
        bytes_field(&mut bytes, 1, name.as_bytes());
        bytes.push(2 << 3 | 2);
        Key(bytes.into())
    }
}

/// Appends attributes to a message, whose field for them has the number `field`.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) field: u8,
    /// How many were written.
    pub(super) count: usize,
}

impl Attributes<'_> {
    fn begin(&mut self, key: &Key, value_bytes: usize) {
        self.count += 1;
        self.out.push(self.field << 3 | 2);
        varint(self.out, length(key.0.len() + varint_len(value_bytes) + value_bytes));
        self.out.extend_from_slice(&key.0);
        varint(self.out, length(value_bytes));
    }

    pub(super) fn text(&mut self, key: &Key, text: &[u8]) {
        self.begin(key, 1 + varint_len(text.len()) + text.len());
        bytes_field(self.out, 1, text);
    }

    pub(super) fn truth(&mut self, key: &Key, value: bool) {
        self.begin(key, 2);
        varint_field(self.out, 2, u64::from(value));
    }

    pub(super) fn int(&mut self, key: &Key, value: i64) {
        let value = value.cast_unsigned();
        let bits = u64::BITS - (value | 1).leading_zeros();
        self.begin(key, 1 + bits.div_ceil(7) as usize);
        varint_field(self.out, 3, value);
    }

    pub(super) fn float(&mut self, key: &Key, value: f64) {
        self.begin(key, 9);
        fixed64_field(self.out, 4, value.to_bits());
    }
}

/// Appends decimal digits, padded with zeros to a width.
pub(super) fn digits(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let start = out.len();
    while value > 0 || out.len() - start < width.max(1) {
        out.push(b'0' + low_byte(value % 10));
        value /= 10;
    }
    if let Some(written) = out.get_mut(start..) {
        written.reverse();
    }
}

/// Appends sixteen hex digits.
pub(super) fn hex(out: &mut Vec<u8>, value: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for shift in (0..64).step_by(4).rev() {
        let place = usize::from(low_byte(value >> shift) & 15);
        out.push(DIGITS[place]);
    }
}

/// Appends 128 bits as a UUID of version 4.
pub(super) fn uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    let start = out.len();
    hex(out, (high & !0xf000) | 0x4000);
    hex(out, (low & !(3 << 62)) | 1 << 63);
    for place in [20, 16, 12, 8] {
        out.insert(start + place, b'-');
    }
}

#[cfg(test)]
mod tests {
    use skein_otlp::Message as _;
    use skein_otlp::common::any_value::Value;
    use skein_otlp::trace::Span;

    use super::*;

    #[test]
    fn attributes_decode_as_written() {
        let (mut out, key) = (Vec::new(), Key::new("a.key"));
        let mut attributes = Attributes { out: &mut out, field: 9, count: 0 };
        let long = "x".repeat(300);
        attributes.text(&key, long.as_bytes());
        attributes.truth(&key, true);
        for value in [0, 127, 128, i64::MAX, -1] {
            attributes.int(&key, value);
        }
        attributes.float(&key, 0.25);
        assert_eq!(attributes.count, 8);
        let span = Span::decode(out.as_slice()).unwrap();
        assert!(span.attributes.iter().all(|attribute| attribute.key == "a.key"));
        let values = span.attributes.into_iter().map(|attribute| attribute.value.unwrap().value.unwrap());
        let expected = [
            Value::StringValue(long),
            Value::BoolValue(true),
            Value::IntValue(0),
            Value::IntValue(127),
            Value::IntValue(128),
            Value::IntValue(i64::MAX),
            Value::IntValue(-1),
            Value::DoubleValue(0.25),
        ];
        assert_eq!(values.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn numbers_as_text() {
        let text = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = b"-".to_vec();
            write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(&|out| digits(out, 0, 0)), "-0");
        assert_eq!(text(&|out| digits(out, 1_234, 6)), "-001234");
        assert_eq!(text(&|out| hex(out, 0xdead_beef)), "-00000000deadbeef");
        assert_eq!(text(&|out| uuid(out, u64::MAX, u64::MAX)), "-ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
