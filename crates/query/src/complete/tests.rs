//! What is proposed where: `¦` is where somebody is writing.

use serde_json::json;
use skein_event::value::Value;

use super::*;
use crate::spec;

const RANGE: TimeRange = TimeRange { start_ns: 1_000_000_000_000, end_ns: 2_000_000_000_000 };

fn column(name: &str, kind: &'static str, count: u64) -> ColumnInfo {
    ColumnInfo {
        name: name.to_owned(),
        types: vec![(kind, count)],
        scopes: vec!["attributes"],
        first_ns: RANGE.start_ns,
        last_ns: RANGE.end_ns - 1,
        distinct_estimate: 3,
    }
}

fn question(marked: &str, subject: Subject) -> Question {
    let position = marked.find('¦').expect("a mark");
    Question {
        subject,
        text: marked.replace('¦', ""),
        position,
        datasets: Vec::new(),
        time_range: RANGE,
        limit: 200,
    }
}

/// The labels that are proposed, and the text that the first of them makes.
fn proposed(question: &Question) -> (Vec<String>, String) {
    let place = place(question);
    let columns = [
        column("http.route", "text", 50),
        column("http.status", "i64", 90),
        column("k8s.pod-name", "text", 10),
        ColumnInfo { last_ns: RANGE.start_ns - 1, ..column("http.old", "text", 900) },
    ];
    let counted = |value: Value, count: u64| ValueCount { value, count };
    let all = [
        counted(Value::Text("/cart".to_owned()), 7),
        counted(Value::Text("/ca \"x\"".to_owned()), 2),
        counted(Value::I64(404), 1),
    ];
    let looked_up = place.values().map(|(_, prefix)| prefix.to_owned());
    let values: Vec<ValueCount> = match looked_up {
        Some(prefix) => {
            all.into_iter().filter(|one| one.value.canonical_text().starts_with(&prefix)).collect()
        }
        None => Vec::new(),
    };
    let dataset = |name: &str, events| DatasetInfo { name: name.to_owned(), events, first_ns: 0, last_ns: 1 };
    let datasets = [dataset("cart", 5), dataset("pay", 9)];
    let known = Known {
        columns: if place.needs_columns() { &columns } else { &[] },
        values: &values,
        datasets: if place.needs_datasets() { &datasets } else { &[] },
        time_range: RANGE,
    };
    let items = place.items(&known, 200);
    let mut text = question.text.clone();
    if let Some(first) = items.first() {
        text.replace_range(place.replaced.start..place.replaced.end, &first.insert);
    }
    (items.into_iter().map(|item| item.label).collect(), text)
}

#[test]
fn what_may_stand_at_a_place_is_proposed_best_first() {
    for (marked, first, made) in [
        ("¦", &["fields", "display", "filter"][..], "fields "),
        ("fi¦", &["fields", "filter", "filterIndex", "filldown", "fillmissing"], "fields "),
        ("fields a | di¦", &["display", "diff"], "fields a | display "),
        ("sou¦", &["SOURCE"], "SOURCE "),
        ("SOURCE ¦", &["pay", "cart"], "SOURCE \"pay\""),
        ("SOURCE 'ca¦' | fields a", &["cart"], "SOURCE \"cart\" | fields a"),
        ("fields ht¦", &["http.status", "http.route", "http.old"], "fields http.status"),
        ("fields http.r¦", &["http.route"], "fields http.route"),
        ("fields http.¦", &["http.status", "http.route", "http.old"], "fields http.status"),
        ("fields rou¦te, b", &["round", "http.route"], "fields round(, b"),
        ("fields pod¦", &["k8s.pod-name"], "fields k8s.`pod-name`"),
        ("fields `k8s.p¦` | limit 1", &["k8s.pod-name"], "fields k8s.`pod-name` | limit 1"),
        ("fields @t¦", &["@timestamp"], "fields @timestamp"),
        ("fields strl¦", &["strlen"], "fields strlen("),
        ("stats ¦", &["count", "sum", "avg"], "stats count("),
        ("stats count(*) ¦", &["by", "as"], "stats count(*) by "),
        ("stats sum(¦", &["@timestamp", "@message"], "stats sum(@timestamp"),
        ("stats count(*) by b¦", &["bin", "base64encode", "base64decode"], "stats count(*) by bin("),
        (
            "stats count(*) as n by http.route | sort ¦",
            &["http.route", "n"],
            "stats count(*) as n by http.route | sort http.route",
        ),
        (
            "stats count(*) as n by http.route | sort n ¦",
            &["desc", "asc"],
            "stats count(*) as n by http.route | sort n desc ",
        ),
        (
            "parse @message '[*] *' as level, text | filter le¦",
            &["level", "least"],
            "parse @message '[*] *' as level, text | filter level",
        ),
        (
            "parse @message /(?<took>\\d+)/ | stats max(to¦",
            &["took", "toNumber"],
            "parse @message /(?<took>\\d+)/ | stats max(took",
        ),
        ("filter http.route = ¦", &["/cart", "/ca \"x\"", "404"], "filter http.route = \"/cart\""),
        ("filter http.route = '/ca ¦", &["/ca \"x\""], "filter http.route = \"/ca \\\"x\\\"\""),
        ("filter http.route = '/c¦' and a = 1", &["/cart"], "filter http.route = \"/cart\" and a = 1"),
        ("filter http.status in [200, 4¦", &["404"], "filter http.status in [200, 404"),
        ("filter http.status not in [\"/c¦", &["/cart"], "filter http.status not in [\"/cart\""),
        ("filter http.route ¦", &["and", "or", "like"], "filter http.route and "),
        ("filter a = 1 an¦", &["and"], "filter a = 1 and "),
        ("filter a = 1 and isPr¦", &["isPrivateIP"], "filter a = 1 and isPrivateIP("),
        (
            "pattern @message | diff prev¦",
            &["previousDay", "previousWeek"],
            "pattern @message | diff previousDay ",
        ),
        ("limit ¦", &["any"], "limit any "),
        ("outlier act¦", &["action=remove", "action=transform"], "outlier action=remove "),
        ("# grün 🦀\nfields strl¦", &["strlen"], "# grün 🦀\nfields strlen("),
    ] {
        let (labels, text) = proposed(&question(marked, Subject::Insights));
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        assert_eq!(labels.get(..first.len()), Some(first), "{marked}: {labels:?}");
        assert_eq!(text, made, "{marked}");
    }
}

#[test]
fn nothing_is_proposed_where_nothing_may_stand() {
    for marked in [
        "fields a # comm¦",
        "filter a like /err¦",
        "filter a like 'err¦",
        "fields a as ¦",
        "parse @message /(?<x>a) ¦",
        "parse @message 'a * b¦",
        "limit 2¦",
        "unnest a into ¦",
        "stats count(*) as n | filter zzz¦",
        "fields 'a' ¦ 'b",
    ] {
        let (labels, _) = proposed(&question(marked, Subject::Insights));
        let names = ["as", "by", "and"];
        assert!(labels.iter().all(|label| names.contains(&label.as_str())), "{marked}: {labels:?}");
    }
    // Behind an aggregation there are only its results.
    let (labels, _) = proposed(&question("stats count(*) as n by a | filter htt¦", Subject::Insights));
    assert!(labels.is_empty(), "{labels:?}");
}

#[test]
fn fields_of_the_builder_are_completed() {
    let (labels, text) = proposed(&question("ro¦ut", Subject::ColumnName));
    assert_eq!((labels, text.as_str()), (vec!["http.route".to_owned()], "http.route"));
    let location = crate::Location::Path(String::new());
    let of_route = Subject::ValueOf(Column::stored("http.route", location));
    let (labels, text) = proposed(&question("/ca¦", of_route));
    assert_eq!((labels.len(), text.as_str()), (2, "/cart"), "values as they are compared with");
}

#[test]
fn positions_are_utf16() {
    let text = "a🦀é";
    for (units, byte) in [(0, Some(0)), (1, Some(1)), (2, None), (3, Some(5)), (4, Some(7)), (5, None)] {
        assert_eq!(byte_of_utf16(text, units), byte, "{units}");
        if let Some(byte) = byte {
            assert_eq!(utf16_of_byte(text, byte), units);
        }
    }
    let now = 1_700_000_000_000_000_000;
    let asked = |body| spec::completion(&body, now);
    let question = asked(json!({"language": "insights", "query": text, "position": 3})).expect("read");
    assert_eq!((question.position, question.limit), (5, 50));
    for (body, path) in [
        (json!({"language": "insights", "query": text, "position": 2}), "/position"),
        (json!({"language": "insights", "query": text, "position": 9}), "/position"),
        (json!({"language": "insights", "query": text, "position": -1}), "/position"),
        (json!({"language": "perl", "query": ""}), "/language"),
        (json!({"language": "insights", "query": "", "column": "a"}), "/column"),
        (json!({"language": "builder", "limit": 0}), "/limit"),
        (json!({"language": "builder", "qery": "a"}), "/qery"),
    ] {
        let error = asked(body.clone()).expect_err("refused");
        assert_eq!(error.location(), Some(&crate::Location::Path(path.to_owned())), "{body}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_and_no_place_is_a_panic(text in "[a-z@`'\"/|()\\[\\]*#=<>!~,.0-9 é🦀\\\\-]{0,40}", place_at in 0..60_usize) {
        let position = byte_of_utf16(&text, place_at).unwrap_or(text.len());
        let asked = Question { position, text, ..question("¦", Subject::Insights) };
        let place = place(&asked);
        proptest::prop_assert!(place.replaced.start <= asked.position && asked.position <= place.replaced.end);
        proptest::prop_assert!(asked.text.get(place.replaced.start..place.replaced.end).is_some());
    }
}
