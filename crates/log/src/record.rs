//! One record of the log as bytes (docs/formats/log.md, "Record").
//!
//! A record is made in two steps, so that the committer's thread has little to do: the appending thread
//! encodes the body and its checksum ([`RecordBytes::new`]), the committer adds where the record goes
//! ([`RecordBytes::place`]). File and position are covered by the checksum: stale bytes of another file, or of
//! another place, are never taken for a record.

use skein_event::flow::{BatchKey, Erasure};
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits;

use crate::bytes::{checksum_around, get, put};

/// Bytes before a record's body.
pub(crate) const HEADER_BYTES: usize = 72;
/// Records begin at multiples of this.
pub(crate) const RECORD_ALIGNMENT: usize = 8;
/// "SkLr".
const MAGIC: [u8; 4] = *b"SkLr";
/// The version written, and the newest read.
const VERSION: u8 = 1;
/// A reader that does not know the kind may skip the record.
const FLAG_MAY_SKIP: u8 = 1;

const AT_VERSION: usize = 4;
const AT_KIND: usize = 5;
const AT_FLAGS: usize = 6;
const AT_ENVIRONMENT_LEN: usize = 7;
const AT_LENGTH: usize = 8;
const AT_HEADER_CHECKSUM: usize = 12;
const AT_BODY_CHECKSUM: usize = 16;
const AT_PARTITION: usize = 20;
const AT_KEY_LEN: usize = 22;
const AT_FILE: usize = 24;
const AT_POSITION: usize = 32;
const AT_OFFSET: usize = 40;
const AT_TIME: usize = 48;
const AT_DURABLE_BELOW: usize = 56;
const AT_REPLY_LEN: usize = 64;
const AT_PAYLOAD_LEN: usize = 68;

/// The version of an Erase record's payload.
const ERASURE_VERSION: u32 = 1;

/// What a record says. The numbers of Tick, Config and Decision are reserved: this version neither writes nor
/// understands them.
pub(crate) mod kind {
    /// A part of a batch.
    pub(crate) const BATCH: u8 = 1;
    /// Reserved: log time passes.
    pub(crate) const TICK: u8 = 2;
    /// Reserved: a change of configuration.
    pub(crate) const CONFIG: u8 = 3;
    /// Reserved: a decision of the sampler.
    pub(crate) const DECISION: u8 = 4;
    /// An erasure.
    pub(crate) const ERASE: u8 = 5;
    /// An offset that holds nothing: its record was torn before it was acknowledged.
    pub(crate) const VOID: u8 = 6;
}

/// The name of a kind, for people.
pub(crate) fn kind_name(number: u8) -> &'static str {
    match number {
        kind::BATCH => "Batch",
        kind::TICK => "Tick",
        kind::CONFIG => "Config",
        kind::DECISION => "Decision",
        kind::ERASE => "Erase",
        kind::VOID => "Void",
        _ => "unknown",
    }
}

/// Where a record lies in its file and its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The file's id.
    pub(crate) file: u64,
    /// Bytes before it in the file.
    pub(crate) position: u64,
    /// Its offset in the partition.
    pub(crate) offset: u64,
    /// Every record of a lower offset than this was durable when this one was written.
    pub(crate) durable_below: u64,
    /// When it was appended.
    pub(crate) append_time_ns: i64,
}

/// A record on its way to disk.
#[derive(Clone, Debug)]
pub(crate) struct RecordBytes(Vec<u8>);

/// A record does not fit its limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooLarge;

impl RecordBytes {
    /// A Batch record without a place. `encode` appends the payload.
    pub(crate) fn batch(
        environment: &Environment,
        partition: Partition,
        key: &BatchKey,
        reply: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<RecordBytes, TooLarge> {
        RecordBytes::with_body(kind::BATCH, environment, partition, key, reply, encode)
    }

    /// An Erase record without a place. It may not be skipped: a reader that does not know it would show what
    /// was erased.
    pub(crate) fn erase(
        environment: &Environment,
        partition: Partition,
        erasure: &Erasure,
    ) -> Result<RecordBytes, TooLarge> {
        let key = BatchKey::Unique(erasure.id);
        let encode = |out: &mut Vec<u8>| encode_erasure(erasure, out);
        RecordBytes::with_body(kind::ERASE, environment, partition, &key, &[], encode)
    }

    fn with_body(
        kind: u8,
        environment: &Environment,
        partition: Partition,
        key: &BatchKey,
        reply: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<RecordBytes, TooLarge> {
        let key = encode_key(key);
        if key.len() > limits::BATCH_KEY_BYTES_MAX + 1 || reply.len() > limits::BATCH_REPLY_BYTES_MAX {
            return Err(TooLarge);
        }
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend_from_slice(environment.as_str().as_bytes());
        bytes.extend_from_slice(&key);
        bytes.extend_from_slice(reply);
        let start = bytes.len();
        encode(&mut bytes);
        let payload = bytes.len() - start;
        let environment_len = u8::try_from(environment.as_str().len()).map_err(|_| TooLarge)?;
        let key_len = u16::try_from(key.len()).map_err(|_| TooLarge)?;
        let reply_len = u32::try_from(reply.len()).map_err(|_| TooLarge)?;
        let payload_len = u32::try_from(payload).map_err(|_| TooLarge)?;
        put(&mut bytes, AT_ENVIRONMENT_LEN, [environment_len]);
        put(&mut bytes, AT_KEY_LEN, key_len.to_le_bytes());
        put(&mut bytes, AT_REPLY_LEN, reply_len.to_le_bytes());
        put(&mut bytes, AT_PAYLOAD_LEN, payload_len.to_le_bytes());
        RecordBytes::finish(bytes, partition, kind, 0)
    }

    /// A Void record without a place.
    pub(crate) fn void(partition: Partition) -> RecordBytes {
        let bytes = vec![0; HEADER_BYTES];
        // 72 bytes are within every limit.
        RecordBytes::finish(bytes, partition, kind::VOID, FLAG_MAY_SKIP).unwrap_or(RecordBytes(Vec::new()))
    }

    /// A record of any kind without a body.
    #[cfg(test)]
    pub(crate) fn of_kind(partition: Partition, kind: u8, may_skip: bool) -> RecordBytes {
        RecordBytes::finish(vec![0; HEADER_BYTES], partition, kind, u8::from(may_skip)).unwrap()
    }

    /// The same record as one that was read, without its place.
    pub(crate) fn again(record: &Record<'_>) -> RecordBytes {
        RecordBytes(record.bytes.to_vec())
    }

    fn finish(
        mut bytes: Vec<u8>,
        partition: Partition,
        kind: u8,
        flags: u8,
    ) -> Result<RecordBytes, TooLarge> {
        bytes.resize(bytes.len().next_multiple_of(RECORD_ALIGNMENT), 0);
        if bytes.len() > limits::LOG_RECORD_BYTES_MAX {
            return Err(TooLarge);
        }
        let length = u32::try_from(bytes.len()).map_err(|_| TooLarge)?;
        let body = crc32c::crc32c(bytes.get(HEADER_BYTES..).unwrap_or_default());
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, AT_VERSION, [VERSION]);
        put(&mut bytes, AT_KIND, [kind]);
        put(&mut bytes, AT_FLAGS, [flags]);
        put(&mut bytes, AT_LENGTH, length.to_le_bytes());
        put(&mut bytes, AT_BODY_CHECKSUM, body.to_le_bytes());
        put(&mut bytes, AT_PARTITION, partition.0.to_le_bytes());
        Ok(RecordBytes(bytes))
    }

    /// Length on disk.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends the record with its place to a group of records.
    pub(crate) fn place(&self, place: Place, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.0);
        let Some(header) = out.get_mut(start..start + HEADER_BYTES) else { return };
        put(header, AT_FILE, place.file.to_le_bytes());
        put(header, AT_POSITION, place.position.to_le_bytes());
        put(header, AT_OFFSET, place.offset.to_le_bytes());
        put(header, AT_TIME, place.append_time_ns.to_le_bytes());
        put(header, AT_DURABLE_BELOW, place.durable_below.to_le_bytes());
        let checksum = checksum_around(header, AT_HEADER_CHECKSUM);
        put(header, AT_HEADER_CHECKSUM, checksum.to_le_bytes());
    }
}

/// A record as it was read: both checksums held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    bytes: &'a [u8],
    /// Where it lies.
    pub(crate) place: Place,
    /// Its kind.
    pub(crate) kind: u8,
    /// Its partition.
    pub(crate) partition: Partition,
    /// The batch's reply.
    pub(crate) reply: &'a [u8],
    /// The encoded batch.
    pub(crate) payload: &'a [u8],
    environment: &'a [u8],
    key: &'a [u8],
}

/// Why bytes are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoRecord {
    /// They are none, or a damaged one.
    Damaged,
    /// They are one of a newer version.
    Newer(u8),
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`, whose place in the file is `position`.
    pub(crate) fn parse(bytes: &'a [u8], position: u64) -> Result<Record<'a>, NoRecord> {
        let header = bytes.get(..HEADER_BYTES).ok_or(NoRecord::Damaged)?;
        let length = u32::from_le_bytes(get(header, AT_LENGTH)) as usize;
        let place = Place {
            file: u64::from_le_bytes(get(header, AT_FILE)),
            position: u64::from_le_bytes(get(header, AT_POSITION)),
            offset: u64::from_le_bytes(get(header, AT_OFFSET)),
            durable_below: u64::from_le_bytes(get(header, AT_DURABLE_BELOW)),
            append_time_ns: i64::from_le_bytes(get(header, AT_TIME)),
        };
        let sound = header.starts_with(&MAGIC)
            && length >= HEADER_BYTES
            && length.is_multiple_of(RECORD_ALIGNMENT)
            && place.position == position
            && checksum_around(header, AT_HEADER_CHECKSUM)
                == u32::from_le_bytes(get(header, AT_HEADER_CHECKSUM));
        let bytes = bytes.get(..length).filter(|_| sound).ok_or(NoRecord::Damaged)?;
        let body = bytes.get(HEADER_BYTES..).ok_or(NoRecord::Damaged)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(get(header, AT_BODY_CHECKSUM)) {
            return Err(NoRecord::Damaged);
        }
        let version = get::<1>(header, AT_VERSION)[0];
        if version != VERSION {
            return Err(NoRecord::Newer(version));
        }
        let split = |bytes: &'a [u8], len: usize| bytes.split_at_checked(len).ok_or(NoRecord::Damaged);
        let (environment, rest) = split(body, usize::from(get::<1>(header, AT_ENVIRONMENT_LEN)[0]))?;
        let (key, rest) = split(rest, usize::from(u16::from_le_bytes(get(header, AT_KEY_LEN))))?;
        let (reply, rest) = split(rest, u32::from_le_bytes(get(header, AT_REPLY_LEN)) as usize)?;
        let (payload, _) = split(rest, u32::from_le_bytes(get(header, AT_PAYLOAD_LEN)) as usize)?;
        let partition = Partition(u16::from_le_bytes(get(header, AT_PARTITION)));
        let kind = get::<1>(header, AT_KIND)[0];
        Ok(Record { bytes, place, kind, partition, reply, payload, environment, key })
    }

    /// Length on disk.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a reader that does not know the kind may skip it.
    pub(crate) fn may_skip(&self) -> bool {
        get::<1>(self.bytes, AT_FLAGS)[0] & FLAG_MAY_SKIP != 0
    }

    /// Whose it is; `None` when that is no name of an environment.
    pub(crate) fn environment(&self) -> Option<Environment> {
        Environment::new(std::str::from_utf8(self.environment).ok()?)
    }

    /// The batch's key.
    pub(crate) fn key(&self) -> Option<BatchKey> {
        decode_key(self.key)
    }
}

/// The key's bytes: a tag, then the key.
pub(crate) fn encode_key(key: &BatchKey) -> Vec<u8> {
    match key {
        BatchKey::Digest(digest) => [&[0], digest.to_le_bytes().as_slice()].concat(),
        BatchKey::Client(text) => [&[1], text.as_bytes()].concat(),
        BatchKey::Import { file, line } => [&[2], file.as_slice(), &line.to_le_bytes()].concat(),
        BatchKey::Unique(number) => [&[3], number.to_le_bytes().as_slice()].concat(),
    }
}

/// The payload of an Erase record: version, number of cuts, id, cuts, filter.
fn encode_erasure(erasure: &Erasure, out: &mut Vec<u8>) {
    out.extend_from_slice(&ERASURE_VERSION.to_le_bytes());
    // A log has at most 64 partitions.
    out.extend_from_slice(&u32::try_from(erasure.cuts.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&erasure.id.to_le_bytes());
    out.extend(erasure.cuts.iter().flat_map(|cut| cut.0.to_le_bytes()));
    out.extend_from_slice(erasure.filter.as_bytes());
}

/// Reads the payload of an Erase record. `None` when it is damaged or of a later version: the log then refuses
/// to open, since going on would show what was erased.
pub(crate) fn decode_erasure(bytes: &[u8]) -> Option<Erasure> {
    let (version, rest) = bytes.split_first_chunk::<4>()?;
    let (cuts, rest) = rest.split_first_chunk::<4>()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let cut_bytes = usize::try_from(u32::from_le_bytes(*cuts)).ok()?.checked_mul(8)?;
    let (cuts, filter) = rest.split_at_checked(cut_bytes)?;
    let cuts = cuts.as_chunks::<8>().0.iter().map(|cut| Offset(u64::from_le_bytes(*cut))).collect();
    let filter = std::str::from_utf8(filter).ok().filter(|filter| !filter.contains('\n'))?;
    let known = u32::from_le_bytes(*version) == ERASURE_VERSION;
    known.then(|| Erasure { id: u128::from_le_bytes(*id), cuts, filter: filter.into() })
}

fn decode_key(bytes: &[u8]) -> Option<BatchKey> {
    let (&tag, rest) = bytes.split_first()?;
    Some(match tag {
        0 => BatchKey::Digest(u128::from_le_bytes(rest.try_into().ok()?)),
        1 => BatchKey::Client(Box::from(std::str::from_utf8(rest).ok()?)),
        2 => {
            let (file, line) = rest.split_first_chunk::<32>()?;
            BatchKey::Import { file: *file, line: u32::from_le_bytes(line.try_into().ok()?) }
        }
        3 => BatchKey::Unique(u128::from_le_bytes(rest.try_into().ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (RecordBytes, Place) {
        let environment = Environment::default_environment();
        let key = BatchKey::Client(Box::from("a/b"));
        let record = RecordBytes::batch(&environment, Partition(3), &key, b"ok", |out| {
            out.extend_from_slice(b"payload");
        });
        let place = Place { file: 5, position: 4_096, offset: 17, durable_below: 16, append_time_ns: -3 };
        (record.unwrap(), place)
    }

    #[test]
    fn a_record_comes_back() {
        let (record, place) = sample();
        let mut bytes = Vec::new();
        record.place(place, &mut bytes);
        let read = Record::parse(&bytes, 4_096).unwrap();
        assert_eq!(read.place, place);
        assert_eq!((read.kind, read.partition, read.len()), (kind::BATCH, Partition(3), bytes.len()));
        assert_eq!((read.reply, read.payload), (b"ok".as_slice(), b"payload".as_slice()));
        assert_eq!(read.environment(), Some(Environment::default_environment()));
        assert_eq!(read.key(), Some(BatchKey::Client(Box::from("a/b"))));
        assert!(!read.may_skip());
        let mut again = Vec::new();
        RecordBytes::again(&read).place(place, &mut again);
        assert_eq!(again, bytes);
    }

    #[test]
    fn any_flipped_bit_and_any_other_place_is_no_record() {
        let (record, place) = sample();
        let mut bytes = Vec::new();
        record.place(place, &mut bytes);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::parse(&damaged, 4_096).err(), Some(NoRecord::Damaged), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(Record::parse(&bytes[..end], 4_096).is_err());
        }
        assert!(Record::parse(&bytes, 8_192).is_err());
    }

    #[test]
    fn an_erasure_comes_back_and_must_not_be_skipped() {
        let erasure = Erasure {
            id: u128::MAX - 5,
            cuts: vec![Offset(0), Offset(17), Offset(u64::MAX)],
            filter: r#"{"filters":[{"column":"ü","op":"exists"}]}"#.into(),
        };
        let environment = Environment::default_environment();
        let record = RecordBytes::erase(&environment, Partition(0), &erasure).unwrap();
        let place = Place { file: 5, position: 4_096, offset: 17, durable_below: 16, append_time_ns: 3 };
        let mut bytes = Vec::new();
        record.place(place, &mut bytes);
        let read = Record::parse(&bytes, 4_096).unwrap();
        assert_eq!((read.kind, read.may_skip()), (kind::ERASE, false));
        assert_eq!(decode_erasure(read.payload), Some(erasure));
        for end in 0..48 {
            assert_eq!(decode_erasure(&read.payload[..end]), None, "{end}");
        }
        let mut later = read.payload.to_vec();
        later[0] = 2;
        assert_eq!(decode_erasure(&later), None);
    }

    #[test]
    fn every_key_comes_back() {
        let keys = [
            BatchKey::Digest(7),
            BatchKey::Client(Box::from("")),
            BatchKey::Import { file: [9; 32], line: 4 },
            BatchKey::Unique(u128::MAX),
        ];
        for key in keys {
            assert_eq!(decode_key(&encode_key(&key)), Some(key));
        }
        assert_eq!(decode_key(&[]), None);
        assert_eq!(decode_key(&[2, 0]), None);
        assert_eq!(decode_key(&[9]), None);
    }
}
