//! Writes `AnyValue` messages: the stored form of json values, of which the door makes some of its own.

/// Appends a varint.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

/// Appends a field of wire type 2.
pub(crate) fn push_bytes_field(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    push_varint(out, u64::from(number) << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field of wire type 0.
pub(crate) fn push_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    push_varint(out, u64::from(number) << 3);
    push_varint(out, value);
}

/// Appends a field of wire type 1.
pub(crate) fn push_fixed64_field(out: &mut Vec<u8>, number: u32, bits: u64) {
    push_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends one entry of a `KeyValueList`: a key and an `AnyValue` message.
pub(crate) fn push_entry(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let mut entry = Vec::with_capacity(key.len() + value.len() + 12);
    push_bytes_field(&mut entry, 1, key);
    push_bytes_field(&mut entry, 2, value);
    push_bytes_field(out, 1, &entry);
}

/// Appends one element of an `ArrayValue`.
pub(crate) fn push_element(out: &mut Vec<u8>, value: &[u8]) {
    push_bytes_field(out, 1, value);
}

/// The `AnyValue` of a kvlist with these entries.
pub(crate) fn kvlist(entries: &[u8]) -> Vec<u8> {
    bytes_value(6, entries)
}

/// The `AnyValue` of an array with these elements.
pub(crate) fn array(elements: &[u8]) -> Vec<u8> {
    bytes_value(5, elements)
}

/// The `AnyValue` of a text.
pub(crate) fn text(text: &[u8]) -> Vec<u8> {
    bytes_value(1, text)
}

/// The `AnyValue` of a boolean.
pub(crate) fn boolean(bit: bool) -> Vec<u8> {
    vec![2 << 3, u8::from(bit)]
}

/// The `AnyValue` of an integer.
pub(crate) fn integer(value: i64) -> Vec<u8> {
    let mut message = Vec::with_capacity(11);
    push_varint_field(&mut message, 3, value.cast_unsigned());
    message
}

/// The `AnyValue` of a double.
pub(crate) fn double(value: f64) -> Vec<u8> {
    let mut message = Vec::with_capacity(9);
    push_fixed64_field(&mut message, 4, value.to_bits());
    message
}

fn bytes_value(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(bytes.len() + 6);
    push_bytes_field(&mut message, number, bytes);
    message
}
