//! Paths in what the client sent, from paths in what was left of it.
//!
//! A record that the transcoder rejects is missing in the protobuf it writes, so the protobuf door counts the
//! later ones of its list too low.

/// A list of the protobuf that misses elements: its path there, and their places in what the client sent,
/// rising.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DroppedFrom {
    pub(super) list: String,
    pub(super) indices: Vec<u32>,
}

/// The path in what the client sent.
pub(super) fn rebase(path: &str, dropped: &[DroppedFrom]) -> String {
    if dropped.is_empty() {
        return path.to_owned();
    }
    let mut rebased = String::with_capacity(path.len() + 2);
    let mut done = 0;
    while let Some((open, close)) = next_index(path, done) {
        let list = path.get(..open).unwrap_or_default();
        rebased.push_str(path.get(done..=open).unwrap_or_default());
        let digits = path.get(open + 1..close).unwrap_or_default();
        let missing = dropped.iter().find(|entry| entry.list == list);
        match (digits.parse::<u32>(), missing) {
            (Ok(index), Some(missing)) => rebased.push_str(&shifted(index, &missing.indices).to_string()),
            _ => rebased.push_str(digits),
        }
        done = close;
    }
    rebased.push_str(path.get(done..).unwrap_or_default());
    rebased
}

/// The places of the next `[` and its `]`.
fn next_index(path: &str, from: usize) -> Option<(usize, usize)> {
    let open = from + path.get(from..)?.find('[')?;
    let close = open + path.get(open..)?.find(']')?;
    Some((open, close))
}

fn shifted(index: u32, dropped: &[u32]) -> u32 {
    dropped.iter().fold(index, |index, &gap| if gap <= index { index.saturating_add(1) } else { index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_count_what_was_dropped() {
        let dropped = [
            DroppedFrom { list: "a".into(), indices: vec![0] },
            DroppedFrom { list: "a[0].b".into(), indices: vec![1, 2, 5] },
        ];
        for (path, rebased) in [
            ("a[0].b[0].c", "a[1].b[0].c"),
            ("a[0].b[1].c[7]", "a[1].b[3].c[7]"),
            ("a[0].b[3]", "a[1].b[6]"),
            ("a[1].b[1]", "a[2].b[1]"),
            ("x", "x"),
            ("a[", "a["),
        ] {
            assert_eq!(rebase(path, &dropped), rebased, "{path}");
        }
    }
}
