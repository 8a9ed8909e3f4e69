//! The dictionary of an open column: texts, hashes, trace ids. It is checked when it is first asked for.

use super::body::Body;
use super::bytes::{array_at, count};
use super::column::ColumnReader;
use super::hashes::Hashes;
use super::header::Version;
use super::info::Encoding;
use super::text::TextReader;
use super::trace_filter::trace_hash;
use crate::error::Error;

impl<'a> ColumnReader<'a> {
    /// Number of codes: distinct values of columns with a dictionary; of mostly different text as many as values;
    /// 0 for others.
    pub fn dictionary_len(&self) -> u32 {
        self.info.distinct.unwrap_or(0)
    }

    /// Whether the dictionary holds each value once, beside its hash: so of text, bytes and json, unless most
    /// values are different.
    pub fn has_hashes(&self) -> bool {
        self.info.encoding == Encoding::Codes
    }

    /// Whether its values are text, bytes or json.
    pub fn has_text(&self) -> bool {
        matches!(self.info.encoding, Encoding::Codes | Encoding::Texts)
    }

    /// The keyed hashes ([`skein_event::hash::HashKey`]) of all codes, in their order; nothing when it has none.
    pub fn hashes(&self) -> Result<Vec<u64>, Error> {
        if self.info.hashes_computed {
            return self.computed_hashes();
        }
        Ok(self.dictionary_hashes()?.map_or_else(Vec::new, |hashes| hashes.all()))
    }

    /// The keyed hash of one code's value. Whoever wants many takes [`ColumnReader::hashes`].
    pub fn hash(&self, code: u32) -> Result<Option<u64>, Error> {
        if self.info.hashes_computed {
            let mut text = self.text()?.kept_by(self.segment);
            let is_there = code < self.dictionary_len();
            return is_there.then(|| Ok(self.segment.header().hash_key.hash(text.get(code)?))).transpose();
        }
        Ok(self.dictionary_hashes()?.and_then(|hashes| hashes.get(code)))
    }

    /// The keyed hashes of some codes, in their order; nothing where the dictionary has none. Neighbours are read
    /// together.
    pub fn hashes_of(&self, codes: &[u32]) -> Result<Vec<u64>, Error> {
        if !self.info.hashes_computed {
            let hashes = self.dictionary_hashes()?;
            return Ok(codes.iter().filter_map(|&code| hashes.as_ref()?.get(code)).collect());
        }
        let (mut text, key) = (self.text()?.many(), self.segment.header().hash_key);
        codes.iter().map(|&code| Ok(key.hash(text.get(code)?))).collect()
    }

    /// The codes whose value has this keyed hash: none, one, or several when values collide. Whoever needs
    /// certainty compares the bytes.
    pub fn codes_of_hash(&self, hash: u64) -> Result<Vec<u32>, Error> {
        if self.info.hashes_computed {
            return self.computed_codes_of(hash);
        }
        Ok(self.dictionary_hashes()?.map_or_else(Vec::new, |hashes| hashes.codes_of(hash)))
    }

    /// The hashes of a dictionary that does not keep them.
    fn computed_hashes(&self) -> Result<Vec<u64>, Error> {
        let (mut text, key) = (self.text()?.many(), self.segment.header().hash_key);
        let hashes = (0..self.dictionary_len()).map(|code| Ok(key.hash(text.get(code)?)));
        let hashes = hashes.collect::<Result<Vec<u64>, Error>>()?;
        self.segment.check_dictionary_once(&self.info, || {
            if hashes.windows(2).all(|pair| pair[0] < pair[1]) {
                return Ok(());
            }
            Err(Error::damaged("a dictionary is not in the order of its hashes"))
        })?;
        Ok(hashes)
    }

    /// As [`ColumnReader::codes_of_hash`]: hashes are spread evenly, so that few blocks of text are opened.
    fn computed_codes_of(&self, wanted: u64) -> Result<Vec<u32>, Error> {
        let (mut text, key) = (self.text()?.kept_by(self.segment), self.segment.header().hash_key);
        let (mut low, mut high) = (0, self.dictionary_len());
        // All hashes of `low..high` lie in these bounds.
        let (mut above, mut below) = (0, u64::MAX);
        let mut halves = false;
        while low < high {
            let share = u128::from(wanted.saturating_sub(above)) * u128::from(high - low)
                / (u128::from(below.saturating_sub(above)) + 1);
            // Every other guess halves, so that hashes which are not spread evenly are found as fast as by halving.
            let guess = low + u32::try_from(share).unwrap_or(0).min(high - low - 1);
            let guess = if halves { low.midpoint(high) } else { guess };
            halves = !halves;
            let found = key.hash(text.get(guess)?);
            match found.cmp(&wanted) {
                std::cmp::Ordering::Equal => return Ok(vec![guess]),
                std::cmp::Ordering::Less => (low, above) = (guess + 1, found.max(above)),
                std::cmp::Ordering::Greater => (high, below) = (guess, found.min(below)),
            }
        }
        Ok(Vec::new())
    }

    fn dictionary_hashes(&self) -> Result<Option<Hashes<'a>>, Error> {
        match &self.body {
            Body::Codes { places: Some(places), .. } => {
                let all = self.segment.hashes_v1()?;
                let hashes = Hashes::V1 { all, places: *places };
                self.segment.check_dictionary_once(&self.info, || hashes.validate())?;
                Ok(Some(hashes))
            }
            Body::Codes { .. } => {
                let bytes = self.segment.dictionary(&self.info)?;
                let (hashes, _) = Hashes::open(bytes, self.dictionary_len(), self.info.hashes_rise)?;
                self.segment.check_dictionary_once(&self.info, || hashes.validate())?;
                Ok(Some(hashes))
            }
            _ => Ok(None),
        }
    }

    /// A reader of the values of codes: of text, bytes and json.
    pub fn text(&self) -> Result<TextReader<'a>, Error> {
        match &self.body {
            Body::Codes { places: Some(places), .. } => Ok(self.segment.text()?.with_places(*places)),
            Body::Codes { .. } => {
                let bytes = self.segment.dictionary_unchecked(&self.info)?;
                let text = match self.info.hashes_computed {
                    true => bytes,
                    false => Hashes::open(bytes, self.dictionary_len(), self.info.hashes_rise)?.1,
                };
                TextReader::open(text, self.dictionary_len(), Version::V2)?.checked_by(self.segment)
            }
            Body::Texts { text, len } => {
                TextReader::open(text, count(*len), Version::V2)?.checked_by(self.segment)
            }
            _ => Err(Error::damaged("a column without text")),
        }
    }

    /// The trace id of a code.
    pub fn trace_id(&self, code: u32) -> Option<[u8; 16]> {
        match &self.body {
            Body::Ids16 { ids, .. } => array_at(ids, code as usize * 16).ok(),
            _ => None,
        }
    }

    /// The code of a trace id.
    pub fn code_of_trace_id(&self, id: &[u8; 16]) -> Option<u32> {
        let Body::Ids16 { order, by_hash, .. } = &self.body else { return None };
        let key = self.segment.header().hash_key;
        let wanted = trace_hash(key, id);
        let code_at = |place: usize| u32::try_from(order.get(place)).ok();
        let before = |code: u32| {
            self.trace_id(code)
                .map(|other| if *by_hash { trace_hash(key, &other) < wanted } else { other < *id })
        };
        // Hashes are spread evenly, so that the first guess is nearly right; then it closes in on the place.
        let (mut low, mut high) = (0, order.len());
        let mut step = 1 + order.len() / 1_024;
        #[expect(clippy::cast_possible_truncation, reason = "a product's upper half, below the length")]
        let mut middle =
            if *by_hash { ((u128::from(wanted) * high as u128) >> 64) as usize } else { high / 2 };
        while low < high {
            if before(code_at(middle)?)? {
                low = middle + 1
            } else {
                high = middle
            }
            let guess =
                if low == middle + 1 { middle.saturating_add(step) } else { middle.saturating_sub(step) };
            step = step.saturating_mul(4);
            middle = if *by_hash && (low..high).contains(&guess) { guess } else { low.midpoint(high) };
        }
        // Ids that share a hash follow one another.
        let candidates = (low..order.len()).map_while(code_at);
        let mut alike = candidates.take_while(|&code| {
            self.trace_id(code)
                .is_some_and(|other| other == *id || (*by_hash && trace_hash(key, &other) == wanted))
        });
        alike.find(|&code| self.trace_id(code) == Some(*id))
    }
}
