//! An erasure on disk: `erasures/<id>.erase`, a text of a few lines under a checksum (docs/formats/erasure.md).
//! Every erasure is a file of its own and says all there is to it, so that a lost catalog loses none.
//!
//! What it refuses: a file that is damaged. Going on without it would show what was erased.

use skein_event::flow::Erasure;
use skein_event::ids::{Environment, Offset};

use crate::catalog::SegmentId;

/// Where erasures lie in the data directory.
pub(crate) const FOLDER: &str = "erasures";

const FIRST_LINE: &str = "skein erasure 1";

/// An erasure and how far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredErasure {
    pub(crate) environment: Environment,
    pub(crate) erasure: Erasure,
    /// When its record was appended to the log.
    pub(crate) requested_ns: i64,
    /// Per partition the last name given to a segment before it was applied: files of later names were written
    /// without what it takes.
    pub(crate) boundary: Vec<SegmentId>,
    /// When nothing of it was left in segments and heads.
    pub(crate) ended_ns: Option<i64>,
}

/// The name of an erasure's file.
pub(crate) fn file_name(id: u128) -> String {
    format!("{id:032x}.erase")
}

impl StoredErasure {
    pub(crate) fn write(&self) -> Vec<u8> {
        let cuts: Vec<String> = self.erasure.cuts.iter().map(|cut| cut.0.to_string()).collect();
        let boundary: Vec<&str> = self.boundary.iter().map(SegmentId::as_str).collect();
        let ended = self.ended_ns.map_or_else(|| "-".to_owned(), |ended| ended.to_string());
        let text = format!(
            "{FIRST_LINE}\nid {:032x}\nenvironment {}\nrequested {}\ncuts {}\nboundary {}\nended {ended}\nfilter {}\n",
            self.erasure.id,
            self.environment,
            self.requested_ns,
            cuts.join(" "),
            boundary.join(" "),
            self.erasure.filter,
        );
        format!("{text}crc32c {:08x}\n", crc32c::crc32c(text.as_bytes())).into_bytes()
    }

    /// `None` when it is damaged, or of a later version.
    pub(crate) fn read(bytes: &[u8]) -> Option<StoredErasure> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (text, checksum) = text.split_at_checked(text.len().checked_sub("crc32c 00000000\n".len())?)?;
        let checksum = checksum.strip_prefix("crc32c ")?.strip_suffix('\n')?;
        if u32::from_str_radix(checksum, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
            return None;
        }
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let id = u128::from_str_radix(field("id")?, 16).ok()?;
        let environment = Environment::new(field("environment")?)?;
        let requested_ns = field("requested")?.parse().ok()?;
        let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let (cuts, boundary): (Vec<String>, Vec<String>) = (words(field("cuts")?), words(field("boundary")?));
        let cuts = cuts.iter().map(|cut| cut.parse().ok().map(Offset)).collect::<Option<Vec<Offset>>>()?;
        let boundary = boundary.iter().map(|id| SegmentId::parse(id)).collect::<Option<Vec<SegmentId>>>()?;
        let ended_ns = match field("ended")? {
            "-" => None,
            ended => Some(ended.parse().ok()?),
        };
        let filter = field("filter")?.into();
        let erasure = Erasure { id, cuts, filter };
        lines.next().is_none().then_some(StoredErasure {
            environment,
            erasure,
            requested_ns,
            boundary,
            ended_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use skein_event::ids::Partition;

    use super::*;

    #[test]
    fn an_erasure_comes_back_and_damage_shows() {
        let stored = StoredErasure {
            environment: Environment::default_environment(),
            erasure: Erasure {
                id: 77,
                cuts: vec![Offset(3), Offset(0)],
                filter: "{\"filters\": [ ]}".into(),
            },
            requested_ns: 1_700_000_000_000_000_000,
            boundary: vec![SegmentId::new(Partition(0), 1, 9), SegmentId::new(Partition(1), 2, 9)],
            ended_ns: None,
        };
        let bytes = stored.write();
        assert_eq!(StoredErasure::read(&bytes), Some(stored.clone()));
        let ended = StoredErasure { ended_ns: Some(5), ..stored };
        assert_eq!(StoredErasure::read(&ended.write()), Some(ended));
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert_eq!(StoredErasure::read(&damaged), None, "byte {place}");
            assert_eq!(StoredErasure::read(&bytes[..place]), None, "{place} bytes");
        }
    }
}
