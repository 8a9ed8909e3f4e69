//! Lines of a file, compressed or not, each of bounded length.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{broken, unreadable};
use crate::failure::Failure;
use crate::progress::Progress;

/// A longer line is named and passed over: no server takes a request that large.
pub(super) const LINE_BYTES_MAX: usize = 64 << 20;

/// Read at once.
const PIECE_BYTES: usize = 256 << 10;

/// A line, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextLine {
    /// The file is over.
    End,
    /// Nothing on it.
    Blank,
    /// Longer than [`LINE_BYTES_MAX`]; the rest of it was passed over.
    TooLong,
    /// A line without its end.
    Text(Vec<u8>),
}

/// The lines of a file in order.
pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    progress: Arc<Progress>,
    path: PathBuf,
}

/// How a file is compressed, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Says before anything is sent what is wrong with a file.
pub(super) fn check(path: &Path) -> Result<(), Failure> {
    compression(path)?;
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("{} is no file", path.display())));
    }
    File::open(path).map(drop).map_err(|error| unreadable(path, &error))
}

pub(super) fn size(path: &Path) -> Result<u64, Failure> {
    std::fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| unreadable(path, &error))
}

/// SHA-256 of the file as it lies there, in hex.
pub(super) fn digest(path: &Path, what: &str) -> Result<String, Failure> {
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let progress = Progress::bytes(what, size(path)?);
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut piece).map_err(|error| unreadable(path, &error))?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
        progress.add(count as u64);
    }
    progress.finish();
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn compression(path: &Path) -> Result<Compression, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let endings = [
        (".jsonl.gz", Compression::Gzip),
        (".jsonl.zst", Compression::Zstd),
        (".jsonl.zstd", Compression::Zstd),
        (".json.gz", Compression::Gzip),
        (".json.zst", Compression::Zstd),
        (".jsonl", Compression::None),
        (".json", Compression::None),
        (".ndjson", Compression::None),
    ];
    match endings.iter().find(|(ending, _)| name.ends_with(ending)) {
        Some((_, compression)) => Ok(*compression),
        None => Err(Failure::usage(format!("{} is of no kind that can be imported", path.display()))
            .hint("OTLP/JSON, one request a line, in a file named .jsonl, .jsonl.gz or .jsonl.zst")),
    }
}

impl Lines {
    pub(super) fn open(path: &Path, progress: Progress) -> Result<Lines, Failure> {
        let progress = Arc::new(progress);
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let counted =
            BufReader::with_capacity(PIECE_BYTES, Counted { file, progress: Arc::clone(&progress) });
        let reader: Box<dyn BufRead> = match compression(path)? {
            Compression::None => Box::new(counted),
            Compression::Gzip => {
                Box::new(BufReader::with_capacity(PIECE_BYTES, flate2::bufread::MultiGzDecoder::new(counted)))
            }
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(counted)
                    .map_err(|error| unreadable(path, &error))?;
                Box::new(BufReader::with_capacity(PIECE_BYTES, decoder))
            }
        };
        Ok(Lines { reader, progress, path: path.to_owned() })
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    pub(super) fn finish(&self) {
        self.progress.finish();
    }

    /// The next line. However far a compressed file would unfold, no more than a line is ever in memory.
    pub(super) fn next_line(&mut self) -> Result<NextLine, Failure> {
        next_line(&mut *self.reader, LINE_BYTES_MAX).map_err(|error| broken(&self.path, &error))
    }
}

fn next_line(reader: &mut dyn BufRead, bytes_max: usize) -> std::io::Result<NextLine> {
    let mut line = Vec::new();
    let mut begun = false;
    let mut too_long = false;
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            break;
        }
        begun = true;
        let newline = available.iter().position(|byte| *byte == b'\n');
        let piece = available.get(..newline.unwrap_or(available.len())).unwrap_or_default();
        too_long |= line.len() + piece.len() > bytes_max;
        if !too_long {
            line.extend_from_slice(piece);
        }
        let used = piece.len() + usize::from(newline.is_some());
        reader.consume(used);
        if newline.is_some() {
            break;
        }
    }
    Ok(match (begun, too_long) {
        (false, _) => NextLine::End,
        (true, true) => NextLine::TooLong,
        (true, false) if line.iter().all(u8::is_ascii_whitespace) => NextLine::Blank,
        (true, false) => NextLine::Text(line),
    })
}

/// Counts what is read of the file itself, so that progress is true for compressed ones too.
struct Counted {
    file: File,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.progress.add(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_long_ones_passed_over() {
        let mut reader: &[u8] = b"one\n\n  \r\ntoo long a line\ntwo\r\nlast";
        let mut found = Vec::new();
        loop {
            match next_line(&mut reader, 8).unwrap() {
                NextLine::End => break,
                line => found.push(line),
            }
        }
        let text = |text: &str| NextLine::Text(text.as_bytes().to_vec());
        let expected =
            [text("one"), NextLine::Blank, NextLine::Blank, NextLine::TooLong, text("two\r"), text("last")];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_taken() {
        let mut reader: &[u8] = b"12345678\n123456789\n";
        assert_eq!(next_line(&mut reader, 8).unwrap(), NextLine::Text(b"12345678".to_vec()));
        assert_eq!(next_line(&mut reader, 8).unwrap(), NextLine::TooLong);
        assert_eq!(next_line(&mut reader, 8).unwrap(), NextLine::End);
    }

    #[test]
    fn the_name_tells_the_kind() {
        for (name, expected) in [
            ("a.jsonl", Compression::None),
            ("a.otlp.jsonl.gz", Compression::Gzip),
            ("A.JSONL.ZST", Compression::Zstd),
        ] {
            assert_eq!(compression(Path::new(name)).unwrap(), expected, "{name}");
        }
        assert!(compression(Path::new("a.csv")).is_err());
    }
}
