//! What must hold of the largest groups: that they are found without naming the others.

use std::collections::BTreeMap;

use serde_json::json;

use super::build::{Row, at, data, engine};

/// Events of users by name and number.
fn rows(users: &[(String, i64)]) -> Vec<Row> {
    let of = |(name, events): &(String, i64)| -> Vec<Row> {
        (0..*events).map(|n| at(n % 7_000).with("user", name.as_str())).collect()
    };
    users.iter().flat_map(of).collect()
}

fn by_count(limit: usize) -> serde_json::Value {
    json!({"breakdowns": ["user"], "limit": limit, "orders": [{"op": "COUNT", "order": "descending"}]})
}

/// The groups as anyone would count them: by count, then by name.
fn counted(lists: &[Vec<(String, i64)>], limit: usize) -> (Vec<(String, i64)>, i64) {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    lists.iter().flatten().for_each(|(name, events)| *sums.entry(name.clone()).or_default() += events);
    let mut sums: Vec<(String, i64)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, events)| -events);
    let other = sums.iter().skip(limit).map(|(_, events)| events).sum();
    sums.truncate(limit);
    (sums, other)
}

fn check(lists: &[Vec<(String, i64)>], limit: usize) {
    let segments: Vec<Vec<Row>> = lists.iter().map(|users| rows(users)).collect();
    let segments: Vec<&[Row]> = segments.iter().map(Vec::as_slice).collect();
    let found = data(&engine(&segments), by_count(limit));
    let (largest, other) = counted(lists, limit);
    let expected: Vec<_> =
        largest.iter().map(|(name, events)| json!({"user": name, "COUNT": events})).collect();
    let shown: Vec<_> =
        found["results"].as_array().expect("results").iter().map(|result| result["data"].clone()).collect();
    assert_eq!(shown, expected);
    assert_eq!(found["other"]["COUNT"], json!(other));
    let all: i64 = lists.iter().flatten().map(|(_, events)| events).sum();
    assert_eq!(found["total"]["COUNT"], json!(all));
}

#[test]
fn the_largest_group_may_be_small_in_every_segment() {
    // Nobody is first anywhere but in all of them together.
    let list = |segment: i64| {
        let mut users: Vec<(String, i64)> = (0..200)
            .map(|n| (format!("user {segment} {n:03}"), if n == 7 { 30 } else { 3 + (n * 5 + segment) % 7 }))
            .collect();
        users.push(("everywhere".to_owned(), 10));
        users.push((format!("pair {}", segment / 2), 14));
        users
    };
    let lists: Vec<_> = (0..4).map(list).collect();
    for limit in [1, 2, 5, 7] {
        check(&lists, limit);
    }
}

#[test]
fn groups_that_are_all_alike_are_brought_together() {
    // More than may be looked up one by one, and the cut lies among equals.
    let list = |from: i64| (from..from + 4_000).map(|n| (format!("user {n:05}"), 2)).collect::<Vec<_>>();
    check(&[list(0), list(3_990), list(7_000)], 40);
}

#[test]
fn rows_without_a_value_are_a_group_among_the_largest() {
    let users: Vec<(String, i64)> = (0..500).map(|n| (format!("user {n:03}"), 2 + n % 3)).collect();
    let mut events = rows(&users);
    events.extend((0..9).map(at));
    let found = data(&engine(&[&events, &rows(&users)]), by_count(2));
    assert_eq!(found["results"][0]["data"], json!({"user": null, "COUNT": 9}), "{found}");
    assert_eq!(found["results"][1]["data"], json!({"user": "user 002", "COUNT": 8}));
    assert_eq!(found["other"]["COUNT"], json!(events.len() * 2 - 9 - 9 - 8));
}
