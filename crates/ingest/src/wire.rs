//! Reads protobuf framing (protobuf.dev/programming-guides/encoding) without trusting any of it.
//!
//! Every length is checked against what is left, a varint may not pass 64 bits, groups (wire types 3 and 4,
//! which OTLP never had) are skipped as unknown fields to a fixed depth. Nothing here knows a message: a
//! reader yields fields, and the caller says which it knows.

use std::ops::RangeInclusive;

use skein_event::limits::GROUP_DEPTH_MAX;

use crate::error::DoorError;

/// The largest field number that protobuf allows.
const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// Where and why reading stopped. One pointer, so that results on the hot path stay small.
#[derive(Debug)]
pub(crate) struct Malformed(Box<Damage>);

#[derive(Debug)]
struct Damage {
    /// Address of the first byte that could not be read: an offset once the body is known.
    address: usize,
    message: &'static str,
    /// Innermost first.
    path: Vec<String>,
}

/// Protobuf would merge the pieces. No encoder writes any, and a borrowed value cannot be merged: the request
/// is refused rather than a piece dropped.
pub(crate) const SEVERAL_PIECES: &str = "a message in several pieces";

impl Malformed {
    /// Damage at the start of a slice of the body.
    #[cold]
    pub(crate) fn at(slice: &[u8], message: &'static str) -> Malformed {
        Malformed(Box::new(Damage { address: slice.as_ptr().addr(), message, path: Vec::new() }))
    }

    /// Adds the message that holds the damage.
    #[cold]
    pub(crate) fn within(mut self, segment: impl Into<String>) -> Malformed {
        self.0.path.push(segment.into());
        self
    }

    /// The error for the client.
    #[cold]
    pub(crate) fn into_error(mut self, body: &[u8]) -> DoorError {
        self.0.path.reverse();
        // Damage inside a message that was merged from two pieces lies outside the body: its end then.
        let offset = self.0.address.wrapping_sub(body.as_ptr().addr()).min(body.len());
        let path = if self.0.path.is_empty() { "the request".to_owned() } else { self.0.path.join(".") };
        DoorError { format: "protobuf", offset, path, message: self.0.message.to_owned() }
    }
}

/// A field's value as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
    /// Wire type 3, skipped to its end.
    Group,
}

/// Walks the fields of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The fields of a message.
    #[inline]
    pub(crate) fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    /// The next field with its number, or `None` at the end of the message.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.rest;
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > FIELD_NUMBER_MAX {
            return Err(Malformed::at(start, "a field number out of range"));
        }
        let number = u32::try_from(number).unwrap_or_default();
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(self.fixed64()?),
            2 => Field::Bytes(self.bytes()?),
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            3 => {
                self.skip_group(number)?;
                Field::Group
            }
            4 => return Err(Malformed::at(start, "a group ends that never began")),
            _ => return Err(Malformed::at(start, "a wire type that does not exist")),
        };
        Ok(Some((number, field)))
    }

    /// The next field if it is a short one of wire type 2 with this tag byte: the usual attribute, without
    /// the general way through [`Reader::next`].
    #[inline]
    pub(crate) fn short_field(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [first, length @ 0..0x80, rest @ ..] = self.rest else { return None };
        if *first != tag {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
        self.rest = rest;
        Some(bytes)
    }

    /// Refuses a field that the caller knows by number but not in this wire type: dropping it would be
    /// silent loss. A field of another number is of a newer protocol and passes.
    #[inline]
    pub(crate) fn pass_unknown(&self, number: u32, known: RangeInclusive<u32>) -> Result<(), Malformed> {
        if known.contains(&number) {
            return Err(Malformed::at(self.rest, "a field of another wire type than the protocol says"));
        }
        Ok(())
    }

    /// A varint of at most 64 bits.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for (place, &byte) in self.rest.iter().take(10).enumerate() {
            if place == 9 && byte > 1 {
                return Err(Malformed::at(self.rest, "a varint of more than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.rest = self.rest.get(place + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed::at(self.rest, "the message ends within a varint"))
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Whether all fields are read.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Malformed::at(self.rest, "the message ends within a number"));
        };
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.varint()?;
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let Some((bytes, rest)) = split else {
            return Err(Malformed::at(self.rest, "a length that reaches beyond its message"));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// Skips to the end of a group.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let start = self.rest;
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.fixed64()?),
                2 => drop(self.bytes()?),
                5 => drop(self.array::<4>()?),
                3 if open.len() < GROUP_DEPTH_MAX => open.push(u32::try_from(tag >> 3).unwrap_or_default()),
                3 => return Err(Malformed::at(start, "groups nested too deep")),
                4 if tag >> 3 == u64::from(innermost) => drop(open.pop()),
                4 => return Err(Malformed::at(start, "a group ends under another number")),
                _ => return Err(Malformed::at(start, "a wire type that does not exist")),
            }
        }
        Ok(())
    }
}

/// A varint field of protobuf type int32 or enum: negative numbers come in 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "protobuf says that the low 32 bits count")]
pub(crate) fn as_i32(bits: u64) -> i32 {
    bits as i32
}

/// A varint field of protobuf type uint32.
#[expect(clippy::cast_possible_truncation, reason = "protobuf says that the low 32 bits count")]
pub(crate) fn as_u32(bits: u64) -> u32 {
    bits as u32
}

/// A varint field of protobuf type sint32 (zigzag).
pub(crate) fn as_sint32(bits: u64) -> i32 {
    let bits = as_u32(bits);
    (bits >> 1).cast_signed() ^ -((bits & 1).cast_signed())
}

/// Whether bytes are UTF-8. Most attribute values are short ASCII.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || simdutf8::basic::from_utf8(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u32, Field<'_>)>, String> {
        let mut reader = Reader::new(message);
        let mut fields = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(field)) => fields.push(field),
                Ok(None) => return Ok(fields),
                Err(malformed) => return Err(malformed.into_error(message).to_string()),
            }
        }
    }

    #[test]
    fn fields_of_every_wire_type() {
        let message = [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0x1a, 2, b'h', b'i'],
            &[0x25, 7, 0, 0, 0],
            &[0x2b, 0x08, 1, 0x33, 0x34, 0x2c],
        ]
        .concat();
        let expected = vec![
            (1, Field::Varint(150)),
            (2, Field::Fixed64(1)),
            (3, Field::Bytes(b"hi")),
            (4, Field::Fixed32(7)),
            (5, Field::Group),
        ];
        assert_eq!(all(&message), Ok(expected));
    }

    #[test]
    fn framing_is_never_trusted() {
        let nested_groups = [0x2b; 64];
        let cases: &[(&[u8], &str)] = &[
            (&[0x08], "ends within a varint"),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], "more than 64 bits"),
            (&[0x0a, 5, 1], "beyond its message"),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "beyond its message"),
            (&[0x09, 1], "ends within a number"),
            (&[0x00, 1], "field number"),
            (&[0x0c], "never began"),
            (&[0x0e], "does not exist"),
            (&[0x2b, 0x24], "another number"),
            (&[0x2b], "ends within a varint"),
            (&nested_groups, "too deep"),
        ];
        for (message, problem) in cases {
            let error = all(message).expect_err("malformed");
            assert!(error.contains(problem), "{message:?}: {error}");
        }
    }

    #[test]
    fn zigzag() {
        for (bits, value) in [(0, 0), (1, -1), (2, 1), (4_294_967_295, i32::MIN), (4_294_967_294, i32::MAX)] {
            assert_eq!(as_sint32(bits), value);
        }
    }
}
