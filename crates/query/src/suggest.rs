//! "Did you mean": the known names nearest to an unknown one.

use skein_event::limits::{CANDIDATES_MAX, COMPARED_CHARS_MAX};

/// The known names most like `name`, best first.
///
/// A name counts as like another when the edit distance, case and the separators `.`, `_`, `-` aside, is at
/// most a third of its length, or when one contains the other.
pub fn candidates<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted = normalise(name);
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|candidate| score(&wanted, &normalise(candidate)).map(|score| (score, candidate)))
        .collect();
    // Stable: of equally like names the first listed comes first.
    scored.sort_by_key(|(score, _)| *score);
    scored.dedup();
    scored.into_iter().take(CANDIDATES_MAX).map(|(_, candidate)| candidate.to_owned()).collect()
}

fn normalise(name: &str) -> Vec<char> {
    let significant = name.chars().filter(|c| !matches!(c, '.' | '_' | '-' | ' '));
    significant.flat_map(char::to_lowercase).take(COMPARED_CHARS_MAX).collect()
}

fn score(wanted: &[char], candidate: &[char]) -> Option<usize> {
    let distance = distance(wanted, candidate);
    if distance <= wanted.len().max(3) / 3 {
        return Some(distance);
    }
    let contains = |long: &[char], short: &[char]| {
        short.len() >= 3 && long.windows(short.len()).any(|window| window == short)
    };
    (contains(candidate, wanted) || contains(wanted, candidate)).then_some(COMPARED_CHARS_MAX + distance)
}

/// Edit distance with swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (row, &left) in a.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &right) in b.iter().enumerate() {
            let replaced = last[column] + usize::from(left != right);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && left == b[column - 1] && a[row - 1] == right {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        let known = ["duration_ms", "service.name", "http.route", "http.response.status_code", "name"];
        for (wrong, first) in [
            ("duration", "duration_ms"),
            ("durationMs", "duration_ms"),
            ("servce.name", "service.name"),
            ("status_code", "http.response.status_code"),
            ("nmae", "name"),
        ] {
            assert_eq!(candidates(wrong, known).first().map(String::as_str), Some(first), "{wrong}");
        }
        assert!(candidates("zzzzzz", known).is_empty());
    }
}
