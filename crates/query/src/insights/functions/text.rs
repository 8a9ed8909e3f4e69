//! Text. Lengths and places count characters, not bytes.

use std::fmt::Write as _;

use super::{ANY, Arguments, Extra, Function, Takes, bounded, digest, function};
use crate::insights::datum::Datum;
use skein_event::any_value::base64;
use skein_event::limits::CALCULATED_TEXT_BYTES_MAX;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "isempty",
        (1, 1),
        "isempty(field)",
        &[("isempty(\"\")", "1"), ("isempty(nothing)", "1"), ("isempty(\" \")", "0")],
        |a| Datum::from(a.get(0).key().is_none_or(|text| text.is_empty())),
    ),
    function("isblank", (1, 1), "isblank(field)", &[("isblank(\" \")", "1"), ("isblank(\"x\")", "0")], |a| {
        Datum::from(a.get(0).key().is_none_or(|text| text.trim().is_empty()))
    }),
    function(
        "concat",
        (1, ANY),
        "concat(a, b, …)",
        &[("concat(\"a\", 1, \"-\", nothing)", "\"a1-\"")],
        concat,
    ),
    function(
        "ltrim",
        (1, 2),
        "ltrim(text, [characters])",
        &[("ltrim(\"xyZxyfooxyZ\", \"xyZ\")", "\"fooxyZ\""), ("ltrim(\"  a \")", "\"a \"")],
        |a| trimmed(a, true, false),
    ),
    function(
        "rtrim",
        (1, 2),
        "rtrim(text, [characters])",
        &[("rtrim(\"xyZfooxyxyZ\", \"xyZ\")", "\"xyZfoo\"")],
        |a| trimmed(a, false, true),
    ),
    function(
        "trim",
        (1, 2),
        "trim(text, [characters])",
        &[("trim(\"xyZxyfooxyxyZ\", \"xyZ\")", "\"foo\"")],
        |a| trimmed(a, true, true),
    ),
    function(
        "strlen",
        (1, 1),
        "strlen(text)",
        &[("strlen(\"grün\")", "4"), ("strlen(nothing)", "null")],
        |a| a.text(0).map_or(Datum::Missing, |text| Datum::count(text.chars().count())),
    ),
    function("toupper", (1, 1), "toupper(text)", &[("toupper(\"aé\")", "\"AÉ\"")], |a| {
        map(a, |text| text.to_uppercase())
    }),
    function("tolower", (1, 1), "tolower(text)", &[("tolower(\"ABC\")", "\"abc\"")], |a| {
        map(a, |text| text.to_lowercase())
    }),
    function(
        "substr",
        (2, 3),
        "substr(text, start, [length])",
        &[
            ("substr(\"xyZfooxyZ\", 3)", "\"fooxyZ\""),
            ("substr(\"xyZfooxyZ\", 3, 4)", "\"foox\""),
            ("substr(\"ab\", 5)", "\"\""),
        ],
        substr,
    ),
    function(
        "replace",
        (3, 3),
        "replace(text, find, replacement)",
        &[("replace(\"foo\", \"o\", \"0\")", "\"f00\"")],
        |a| match (a.text(0), a.text(1), a.text(2)) {
            (Some(text), Some(find), Some(by)) if !find.is_empty() => replaced(&text, &find, &by),
            (Some(text), Some(_), Some(_)) => Datum::from(&*text),
            _ => Datum::Missing,
        },
    ),
    Function {
        literal: Takes::Regex(1),
        ..function(
            "regexReplace",
            (3, 3),
            "regexReplace(text, /pattern/, replacement)",
            &[
                ("regexReplace(\"a1b22\", /\\d+/, \"#\")", "\"a#b#\""),
                ("regexReplace(\"k=v\", /(\\w)=(\\w)/, \"$2=$1\")", "\"v=k\""),
            ],
            regex_replace,
        )
    },
    function(
        "strcontains",
        (2, 3),
        "strcontains(text, part, [ignore case])",
        &[
            ("strcontains(\"abc\", \"b\")", "1"),
            ("strcontains(\"ABC\", \"b\")", "0"),
            ("strcontains(\"ABC\", \"b\", true)", "1"),
        ],
        |a| {
            let ignores = a.get(2).truth() == Some(true);
            Datum::from(a.text(0).zip(a.text(1)).map(|(text, part)| match ignores {
                true => text.to_lowercase().contains(&part.to_lowercase()),
                false => text.contains(&*part),
            }))
        },
    ),
    function(
        "startsWith",
        (2, 2),
        "startsWith(text, prefix)",
        &[("startsWith(\"abc\", \"ab\")", "1")],
        |a| Datum::from(a.text(0).zip(a.text(1)).map(|(text, part)| text.starts_with(&*part))),
    ),
    function("endsWith", (2, 2), "endsWith(text, suffix)", &[("endsWith(\"abc\", \"ab\")", "0")], |a| {
        Datum::from(a.text(0).zip(a.text(1)).map(|(text, part)| text.ends_with(&*part)))
    }),
    function(
        "urlencode",
        (1, 1),
        "urlencode(text)",
        &[("urlencode(\"a b/é\")", "\"a%20b%2F%C3%A9\"")],
        |a| map(a, url_encoded),
    ),
    function(
        "urldecode",
        (1, 1),
        "urldecode(text)",
        &[("urldecode(\"a%20b+c%C3%A9\")", "\"a b cé\""), ("urldecode(\"%\")", "\"%\"")],
        |a| map(a, url_decoded),
    ),
    function("base64encode", (1, 1), "base64encode(text)", &[("base64encode(\"AB\")", "\"QUI=\"")], |a| {
        map(a, |text| base64(text.as_bytes()))
    }),
    function(
        "base64decode",
        (1, 1),
        "base64decode(text)",
        &[("base64decode(\"QUI=\")", "\"AB\""), ("base64decode(\"?\")", "null")],
        |a| a.text(0).and_then(|text| base64_decoded(&text)).map_or(Datum::Missing, Datum::from),
    ),
    function("split", (2, 2), "split(text, separator)", &[("split(\"a,b\", \",\")", "[\"a\",\"b\"]")], |a| {
        match (a.text(0), a.text(1)) {
            (Some(text), Some(by)) if !by.is_empty() => {
                Datum::Json(std::sync::Arc::new(text.split(&*by).map(serde_json::Value::from).collect()))
            }
            _ => Datum::Missing,
        }
    }),
    function(
        "hexToAscii",
        (1, 1),
        "hexToAscii(text)",
        &[("hexToAscii(\"4142\")", "\"AB\""), ("hexToAscii(\"4\")", "null")],
        |a| {
            a.text(0)
                .and_then(|text| String::from_utf8(hex_decoded(&text)?).ok())
                .map_or(Datum::Missing, Datum::from)
        },
    ),
    function(
        "hexToDec",
        (1, 1),
        "hexToDec(text)",
        &[("hexToDec(\"ff\")", "255"), ("hexToDec(\"0x10\")", "16"), ("hexToDec(\"g\")", "null")],
        |a| {
            let number = a.text(0).and_then(|text| {
                let digits = text.strip_prefix("0x").unwrap_or(&text);
                i64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with(['+', '-']))
            });
            number.map_or(Datum::Missing, Datum::I64)
        },
    ),
    function("decToHex", (1, 1), "decToHex(number)", &[("decToHex(255)", "\"ff\"")], |a| {
        let number = a.get(0).as_i64().filter(|number| *number >= 0);
        number.map_or(Datum::Missing, |number| Datum::from(format!("{number:x}")))
    }),
    function("md5", (1, 1), "md5(text)", &[("md5(\"abc\")", "\"900150983cd24fb0d6963f7d28e17f72\"")], |a| {
        map(a, |text| hex(&digest::md5(text.as_bytes())))
    }),
    function(
        "sha256",
        (1, 1),
        "sha256(text)",
        &[("sha256(\"abc\")", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"")],
        |a| map(a, |text| hex(&digest::sha256(text.as_bytes()))),
    ),
];

fn map(arguments: &Arguments<'_>, change: fn(&str) -> String) -> Datum {
    arguments.text(0).map_or(Datum::Missing, |text| bounded(change(&text)))
}

fn concat(arguments: &Arguments<'_>) -> Datum {
    let mut all = String::new();
    for text in arguments.iter().filter_map(Datum::as_text) {
        if all.len() + text.len() > CALCULATED_TEXT_BYTES_MAX {
            return Datum::Missing;
        }
        all.push_str(&text);
    }
    Datum::from(all)
}

fn trimmed(arguments: &Arguments<'_>, left: bool, right: bool) -> Datum {
    let Some(text) = arguments.text(0) else { return Datum::Missing };
    let characters = arguments.text(1);
    let goes = |c: char| characters.as_ref().map_or(c.is_whitespace(), |characters| characters.contains(c));
    let text = if left { text.trim_start_matches(goes) } else { &text };
    Datum::from(if right { text.trim_end_matches(goes) } else { text })
}

fn substr(arguments: &Arguments<'_>) -> Datum {
    let place =
        |place: usize| arguments.get(place).as_i64().map(|number| usize::try_from(number).unwrap_or(0));
    let (Some(text), Some(start)) = (arguments.text(0), place(1)) else { return Datum::Missing };
    let length = if arguments.len() > 2 { place(2) } else { Some(usize::MAX) };
    length.map_or(Datum::Missing, |length| {
        Datum::from(text.chars().skip(start).take(length).collect::<String>())
    })
}

fn replaced(text: &str, find: &str, by: &str) -> Datum {
    let count = text.matches(find).count();
    if (text.len() + count * by.len()) > CALCULATED_TEXT_BYTES_MAX {
        return Datum::Missing;
    }
    Datum::from(text.replace(find, by))
}

fn regex_replace(arguments: &Arguments<'_>) -> Datum {
    let (Extra::Pattern(pattern), Some(text), Some(by)) =
        (arguments.extra, arguments.text(0), arguments.text(2))
    else {
        return Datum::Missing;
    };
    let mut made = String::new();
    let mut end = 0;
    for found in pattern.0.captures_iter(&text) {
        let Some(whole) = found.get(0) else { continue };
        made.push_str(&text[end..whole.start()]);
        found.expand(&by, &mut made);
        end = whole.end();
        if made.len() > CALCULATED_TEXT_BYTES_MAX {
            return Datum::Missing;
        }
    }
    made.push_str(&text[end..]);
    bounded(made)
}

fn url_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap_or_default();
        }
    }
    encoded
}

fn url_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte = if first == b'%' { after.get(..2).and_then(hex_byte) } else { None };
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_byte(two: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match two {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    }
}

fn hex_decoded(text: &str) -> Option<Vec<u8>> {
    text.as_bytes().chunks(2).map(hex_byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

fn base64_decoded(text: &str) -> Option<String> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut open: u32 = 0;
    let mut bits = 0;
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        open = (open << 6) | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((open >> bits) & 0xff).ok()?);
            open &= (1 << bits) - 1;
        }
    }
    String::from_utf8(bytes).ok()
}
