//! Which words the blocks of long text hold, so that a search for a rare one unpacks few of them: of each block a
//! filter ([`TraceFilter`]) of its different words, about nine bits each.
//!
//! A word is a run of letters, digits and bytes beyond ASCII, whatever its meaning. A text may hold what is searched
//! for within a longer word, so that only those words prune that something else than a word surrounds in the search
//! itself, or its anchored end ([`inner_words`]). What this module refuses to do: to exclude what it is not sure of. A
//! block of bytes that are not UTF-8, whose canonical text is another, has no filter.

use std::ops::Range;

use skein_event::hash::HashKey;

use super::bytes::{length, slice_at};
use super::column::ColumnReader;
use super::header::Version;
use super::ints::Ints;
use super::ints_write::write_random_access;
use super::text::TextReader;
use super::trace_filter::TraceFilter;
use crate::error::Error;

/// Shorter words are in almost every block.
const WORD_BYTES_MIN: usize = 3;
/// Longer ones are data, such as base64; nobody types them.
const WORD_BYTES_MAX: usize = 64;

/// Words need no key: who makes them meet makes his own searches slower.
const WORD_KEY: HashKey = HashKey(0);

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// The words of a text that filters know.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = text.split(|&byte| !is_of_word(byte));
    all.filter(|word| (WORD_BYTES_MIN..=WORD_BYTES_MAX).contains(&word.len()))
}

/// The words that a text has if it holds `part`: those that end within it. When it is known that the text starts or
/// ends with `part`, a word may lie at that end.
pub fn inner_words(part: &str, at_start: bool, at_end: bool) -> Vec<&str> {
    let start =
        if at_start { 0 } else { part.bytes().position(|byte| !is_of_word(byte)).unwrap_or(part.len()) };
    let end = if at_end {
        part.len()
    } else {
        part.bytes().rposition(|byte| !is_of_word(byte)).map_or(0, |at| at + 1)
    };
    // Words end at ASCII bytes, so that both are ends of characters.
    let inner = part.get(start..end).unwrap_or_default();
    words(inner.as_bytes()).filter_map(|word| std::str::from_utf8(word).ok()).collect()
}

/// Collects the different words of one block after another.
#[derive(Default)]
pub(super) struct WordFilters {
    hashes: Vec<u64>,
    /// An open-addressing table of the block's words, at most half full; 0 is a free slot.
    seen: Vec<u64>,
    is_text: bool,
    ends: Vec<i64>,
    filters: Vec<u8>,
}

/// Slots of the table to begin with.
const SLOTS_MIN: usize = 1 << 10;

impl WordFilters {
    /// Takes in a value of the open block.
    pub(super) fn add(&mut self, value: &[u8]) {
        if self.hashes.is_empty() && self.seen.is_empty() {
            self.seen = vec![0; SLOTS_MIN];
            self.is_text = true;
        }
        self.is_text &= std::str::from_utf8(value).is_ok();
        for word in words(value) {
            let hash = WORD_KEY.hash(word).max(1);
            if insert(&mut self.seen, hash) {
                self.hashes.push(hash);
                if self.hashes.len() * 2 > self.seen.len() {
                    self.seen = vec![0; self.seen.len() * 4];
                    self.hashes.iter().for_each(|&hash| {
                        insert(&mut self.seen, hash);
                    });
                }
            }
        }
    }

    /// Ends the open block.
    pub(super) fn close(&mut self) {
        if self.is_text {
            self.filters.extend_from_slice(&TraceFilter::build(&self.hashes));
        }
        self.ends.push(i64::try_from(self.filters.len()).unwrap_or(i64::MAX));
        self.hashes.clear();
        self.seen.clear();
    }

    /// Appends where each block's filter ends, and the filters.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_random_access(&self.ends, out);
        out.extend_from_slice(&self.filters);
    }
}

/// Whether a hash was not in a table yet.
fn insert(slots: &mut [u64], hash: u64) -> bool {
    let mask = slots.len() - 1;
    let mut slot = usize::try_from(hash & length(mask)).unwrap_or(0);
    loop {
        match slots[slot] {
            0 => {
                slots[slot] = hash;
                return true;
            }
            found if found == hash => return false,
            _ => slot = (slot + 1) & mask,
        }
    }
}

/// The filters of a text, where it has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredFilters<'a> {
    ends: Ints<'a>,
    filters: &'a [u8],
}

impl<'a> StoredFilters<'a> {
    /// Opens the filters of so many blocks.
    pub(super) fn open(bytes: &'a [u8], blocks: usize) -> Result<StoredFilters<'a>, Error> {
        let (ends, filters) = Ints::open(bytes, Version::V2)?;
        if ends.len() != blocks {
            return Err(Error::damaged("a text has more or fewer filters of words than blocks"));
        }
        Ok(StoredFilters { ends, filters })
    }

    /// The bytes of a block's filter; none when it has none.
    pub(super) fn of(&self, block: usize) -> Result<&'a [u8], Error> {
        let damaged = || Error::damaged("the filters of a text's words do not follow one another");
        let end_of = |block: usize| u64::try_from(self.ends.get(block)).map_err(|_| damaged());
        let start = if block == 0 { 0 } else { end_of(block - 1)? };
        slice_at(self.filters, start, end_of(block)?.checked_sub(start).ok_or_else(damaged)?)
    }
}

fn excludes(filter: &TraceFilter<'_>, word: &[u8]) -> bool {
    !filter.contains(WORD_KEY.hash(word).max(1))
}

impl TextReader<'_> {
    /// The values of blocks that lack one of these words, as ranges of codes that rise.
    fn without_words(&self, words: &[&str]) -> Result<Vec<Range<u32>>, Error> {
        let mut without = Vec::new();
        let known = |word: &&&str| (WORD_BYTES_MIN..=WORD_BYTES_MAX).contains(&word.len());
        let words: Vec<&str> = words.iter().filter(known).copied().collect();
        if words.is_empty() {
            return Ok(without);
        }
        for block in 0..self.blocks() {
            if let Some(filter) = self.word_filter(block)?
                && words.iter().any(|word| excludes(&filter, word.as_bytes()))
            {
                without.push(self.values_of(block));
            }
        }
        Ok(without)
    }

    /// Checks that no filter excludes a word of its block.
    pub(super) fn check_words(&mut self) -> Result<(), Error> {
        for block in 0..self.blocks() {
            let Some(filter) = self.word_filter(block)? else { continue };
            for code in self.values_of(block) {
                let value = self.get(code)?;
                if std::str::from_utf8(value).is_err() || words(value).any(|word| excludes(&filter, word)) {
                    return Err(Error::damaged("a filter of words excludes what its block holds"));
                }
            }
        }
        Ok(())
    }
}

impl ColumnReader<'_> {
    /// Codes whose text surely lacks one of some words ([`inner_words`]), as ranges that rise. It costs a look at the
    /// filters of long text; a column without them excludes nothing.
    pub fn codes_without(&self, words: &[&str]) -> Result<Vec<Range<u32>>, Error> {
        if self.has_hashes() || !self.has_text() || words.is_empty() {
            return Ok(Vec::new());
        }
        self.text()?.without_words(words)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bytes::count;
    use super::super::text::Codec;
    use super::super::text_write::write_text;
    use super::*;
    use proptest::prelude::*;

    fn write(values: &[String], block_bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let values = values.iter().map(String::as_bytes);
        write_text(values, Codec::Zstd, block_bytes, Some(WordFilters::default()), &mut out).expect("writes");
        out
    }

    #[test]
    fn only_words_that_end_within_the_search_count() {
        assert_eq!(inner_words("timeout", false, false), Vec::<&str>::new());
        assert_eq!(inner_words("user 4711 timed", false, false), ["4711"]);
        assert_eq!(inner_words("user 4711 timed", true, false), ["user", "4711"]);
        assert_eq!(inner_words("user 4711 timed", false, true), ["4711", "timed"]);
        assert_eq!(inner_words(" größe=12 ", false, false), ["größe"]);
        assert_eq!(inner_words("-a-bc-", false, false), Vec::<&str>::new());
        assert_eq!(inner_words("", true, true), Vec::<&str>::new());
    }

    proptest! {
        #[test]
        fn words_never_exclude_a_text_that_matches(
            values in prop::collection::vec("[abé -]{0,30}", 1..80), pick in any::<prop::sample::Index>(),
            cut in (0..20_usize, 1..20_usize), at_start in any::<bool>(), at_end in any::<bool>(),
        ) {
            let bytes = write(&values, 200);
            let mut reader = TextReader::open(&bytes, count(values.len()), Version::V2).expect("opens");
            reader.check_words().expect("is right");
            let text: Vec<char> = pick.get(&values).chars().collect();
            let first = if at_start { 0 } else { cut.0.min(text.len()) };
            let last = if at_end { text.len() } else { (first + cut.1).min(text.len()) };
            let part: String = text[first..last].iter().collect();
            let without = reader.without_words(&inner_words(&part, at_start, at_end)).expect("reads");
            for (code, value) in (0..).zip(&values) {
                let matches = match (at_start, at_end) {
                    (true, true) => *value == part,
                    (true, false) => value.starts_with(&part),
                    (false, true) => value.ends_with(&part),
                    (false, false) => value.contains(&part),
                };
                prop_assert!(!matches || !without.iter().any(|range| range.contains(&code)), "{value} {part}");
            }
        }
    }

    #[test]
    fn a_rare_word_leaves_few_blocks() {
        let values: Vec<String> =
            (0..20_000).map(|n| format!("request {n} of user u{} failed", n % 97)).collect();
        let bytes = write(&values, 16 << 10);
        let mut reader = TextReader::open(&bytes, count(values.len()), Version::V2).expect("opens");
        let without = reader.without_words(&inner_words("request 12345 of", false, false)).expect("reads");
        let excluded: u32 = without.iter().map(|range| range.end - range.start).sum();
        assert!(excluded > 18_000, "{excluded}");
        assert!(!without.iter().any(|range| range.contains(&12_345)));
        assert!(reader.without_words(&["user"]).expect("reads").is_empty());
        assert_eq!(reader.get(12_345).expect("reads"), b"request 12345 of user u26 failed");
    }

    #[test]
    fn a_block_that_is_no_text_is_never_excluded() {
        let mut out = Vec::new();
        let values: [&[u8]; 2] = [b"some words", &[b'x', 0xff, b'y', b' ', b'z']];
        write_text(values.into_iter(), Codec::Zstd, 1 << 10, Some(WordFilters::default()), &mut out)
            .expect("writes");
        let reader = TextReader::open(&out, 2, Version::V2).expect("opens");
        assert!(reader.without_words(&["missing"]).expect("reads").is_empty());
    }

    #[test]
    fn a_wrong_filter_is_an_error_and_never_a_panic() {
        let values: Vec<String> = (0..300).map(|n| format!("word{n} and others")).collect();
        let mut bytes = write(&values, 2_000);
        let reader = TextReader::open(&bytes, 300, Version::V2).expect("opens");
        let (length, filters) = (bytes.len(), reader.word_filter_bytes());
        let mut refused = 0;
        for at in (0..16).chain(length - filters..length) {
            bytes[at] ^= 0x11;
            if let Ok(mut reader) = TextReader::open(&bytes, 300, Version::V2) {
                drop(reader.without_words(&["missing"]));
                refused += usize::from(reader.check_words().is_err());
            }
            bytes[at] ^= 0x11;
        }
        assert!(refused * 2 > filters, "{refused} of {filters}");
    }
}
