//! Writes protobuf messages for tests, well-formed or not.

use crate::any_value::{push_bytes_field, push_fixed64_field, push_varint_field};

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Message {
        Message::default()
    }

    pub(crate) fn bytes(mut self, number: u32, bytes: &[u8]) -> Message {
        push_bytes_field(&mut self.0, number, bytes);
        self
    }

    pub(crate) fn message(self, number: u32, message: &Message) -> Message {
        self.bytes(number, &message.0)
    }

    pub(crate) fn varint(mut self, number: u32, value: u64) -> Message {
        push_varint_field(&mut self.0, number, value);
        self
    }

    pub(crate) fn fixed64(mut self, number: u32, bits: u64) -> Message {
        push_fixed64_field(&mut self.0, number, bits);
        self
    }

    pub(crate) fn fixed32(mut self, number: u8, bits: u32) -> Message {
        let tag = u32::from(number) << 3 | 5;
        if tag < 0x80 {
            self.0.push(u8::try_from(tag).expect("small"));
        } else {
            self.0.extend([
                u8::try_from(tag & 0x7f | 0x80).expect("a byte"),
                u8::try_from(tag >> 7).expect("small"),
            ]);
        }
        self.0.extend_from_slice(&bits.to_le_bytes());
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Message {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An attribute, in the field where its record keeps them.
    pub(crate) fn attribute(self, number: u32, key: &str, value: Message) -> Message {
        self.raw_attribute(number, key.as_bytes(), &value)
    }

    pub(crate) fn raw_attribute(self, number: u32, key: &[u8], value: &Message) -> Message {
        self.message(number, &Message::new().bytes(1, key).message(2, value))
    }

    // === AnyValue ===

    pub(crate) fn text(text: &str) -> Message {
        Message::new().bytes(1, text.as_bytes())
    }

    pub(crate) fn int(value: i64) -> Message {
        Message::new().varint(3, value.cast_unsigned())
    }

    pub(crate) fn double(value: f64) -> Message {
        Message::new().fixed64(4, value.to_bits())
    }

    pub(crate) fn bool(value: bool) -> Message {
        Message::new().varint(2, u64::from(value))
    }

    pub(crate) fn blob(bytes: &[u8]) -> Message {
        Message::new().bytes(7, bytes)
    }

    pub(crate) fn array(elements: &[Message]) -> Message {
        let array = elements.iter().fold(Message::new(), |array, element| array.message(1, element));
        Message::new().message(5, &array)
    }

    pub(crate) fn map(entries: &[(&str, Message)]) -> Message {
        let add = |map: Message, (key, value): &(&str, Message)| map.attribute(1, key, value.clone());
        Message::new().message(6, &entries.iter().fold(Message::new(), add))
    }
}
