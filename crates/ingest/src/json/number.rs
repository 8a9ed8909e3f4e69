//! Numbers, ids and bytes as OTLP/JSON writes them.

/// A 64-bit integer from its digits; a whole number in another notation (`1e3`, `5.0`) is one too, as proto3
/// JSON says. The range is that of u64 and i64 together.
pub(super) fn integer(text: &str) -> Option<i128> {
    if let Ok(value) = text.parse::<i128>() {
        let is_plain = !text.starts_with('+');
        return (is_plain && (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value)).then_some(value);
    }
    // Above 2^53 a double does not say which integer is meant.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = double(text)?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    (value.fract() == 0.0 && value.abs() <= EXACT).then_some(value as i128)
}

/// A finite double from its digits. Text that Rust reads and JSON does not (`inf`, `nan`, `+1`) is none.
pub(super) fn double(text: &str) -> Option<f64> {
    let is_json = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if !is_json || text.starts_with('+') {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A double from text: digits, `NaN`, `Infinity`, `-Infinity`.
pub(super) fn double_in_text(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        digits => double(digits),
    }
}

/// Bytes from hex digits of either case.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Bytes from base64, standard or URL-safe, padded or not: proto3 JSON accepts all four.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if digits.len() % 4 == 1 || padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for place in 0..4 {
            group = group << 6 | chunk.get(place).map_or(Some(0), |&byte| base64_digit(byte))?;
        }
        let [_, high, middle, low] = group.to_be_bytes();
        bytes.extend_from_slice(&[high, middle, low][..chunk.len() - 1]);
    }
    Some(bytes)
}

fn base64_digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_exactly_or_not_at_all() {
        let cases: &[(&str, Option<i128>)] = &[
            ("0", Some(0)),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("18446744073709551616", None),
            ("-9223372036854775809", None),
            ("1e3", Some(1000)),
            ("5.0", Some(5)),
            ("5.5", None),
            ("1e300", None),
            ("+5", None),
            ("", None),
            ("0x10", None),
            ("inf", None),
        ];
        for (text, value) in cases {
            assert_eq!(integer(text), *value, "{text}");
        }
    }

    #[test]
    fn bytes_are_read_in_every_notation() {
        let bytes = Some(vec![0xfb, 0xff, 0xfe, 1]);
        for text in ["+//+AQ==", "-__-AQ==", "+//+AQ", "-__-AQ"] {
            assert_eq!(base64(text), bytes, "{text}");
        }
        assert_eq!(base64(""), Some(Vec::new()));
        for text in ["A", "AA=", "AAA==", "A===", "A*==", "AAAA="] {
            assert_eq!(base64(text), None, "{text}");
        }
        assert_eq!(hex("0aFf"), Some(vec![10, 255]));
        assert_eq!(hex("0"), None);
        assert_eq!(hex("0g"), None);
    }

    #[test]
    fn doubles_are_finite_or_named() {
        assert_eq!(double("1e400"), None);
        assert_eq!(double("-0.0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
        assert!(double_in_text("NaN").is_some_and(f64::is_nan));
        for text in ["nan", "inf", "infinity", "+Infinity", "", " 1"] {
            assert_eq!(double_in_text(text), None, "{text}");
        }
    }
}
