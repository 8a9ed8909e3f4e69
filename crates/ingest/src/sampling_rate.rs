//! How many events one stands for: from a `sampleRate` attribute or the W3C tracestate.
//!
//! Attributes of clients of Honeycomb's SDKs come first, then OpenTelemetry's `ot=th:…`: the rejection
//! threshold T of 56 bits gives the adjusted count 2^56 / (2^56 − T), exactly and without rounding to whole
//! numbers (opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling).

use crate::attribute::Value;

/// The largest rate: Honeycomb's limit, which keeps sums of weights far from the end of f64's whole numbers.
const RATE_MAX: f64 = 2_147_483_647.0;

/// Whether an attribute's key names a rate.
#[inline]
pub(crate) fn is_rate_key(key: &[u8]) -> bool {
    key.len() == 10 && (key == b"sampleRate" || key == b"SampleRate")
}

/// The rate an attribute's value says; at least 1. `None` when it is no number.
pub(crate) fn from_value(value: Value<'_>) -> Option<f64> {
    let rate = match value {
        #[expect(clippy::cast_precision_loss, reason = "rates beyond 2^31 are cut below")]
        Value::I64(rate) => rate as f64,
        Value::F64(rate) => rate,
        Value::Text(text) => skein_event::value::whole_number(std::str::from_utf8(text).ok()?)?,
        _ => return None,
    };
    (!rate.is_nan()).then(|| rate.clamp(1.0, RATE_MAX))
}

/// The rate of `sampleRate`, else `SampleRate`, in a list of attributes.
pub(crate) fn from_attributes<'a>(attributes: impl Iterator<Item = (&'a [u8], Value<'a>)>) -> Option<f64> {
    let mut second = None;
    for (key, value) in attributes.filter(|(key, _)| is_rate_key(key)) {
        let rate = from_value(value);
        if key == b"sampleRate" && rate.is_some() {
            return rate;
        }
        second = second.or(rate);
    }
    second
}

/// The adjusted count of a tracestate's `ot=th:…`.
pub(crate) fn from_trace_state(trace_state: &[u8]) -> Option<f64> {
    let entries = trace_state.split(|&byte| byte == b',');
    let value = entries.map(<[u8]>::trim_ascii).find_map(|entry| entry.strip_prefix(b"ot="))?;
    let threshold = value.split(|&byte| byte == b';').find_map(|field| field.strip_prefix(b"th:"))?;
    if threshold.is_empty() || threshold.len() > 14 {
        return None;
    }
    let mut rejected = 0_u64;
    for place in 0..14 {
        let digit = match threshold.get(place) {
            Some(&digit) => char::from(digit).to_digit(16)?,
            None => 0,
        };
        rejected = rejected << 4 | u64::from(digit);
    }
    const ALL: u64 = 1 << 56;
    #[expect(clippy::cast_precision_loss, reason = "2^56 minus a threshold: the nearest double is meant")]
    let rate = ALL as f64 / (ALL - rejected) as f64;
    Some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_rate_from_tracestate() {
        let cases: &[(&str, Option<f64>)] = &[
            ("ot=th:fd70a4", Some(1.0 / (1.0 - 16_609_444.0 / 16_777_216.0))),
            ("ot=th:8", Some(2.0)),
            ("ot=th:0", Some(1.0)),
            ("ot=th:c;rv:abcdefabcdef12", Some(4.0)),
            ("vendor=x, ot=rv:abcdefabcdef12;th:c", Some(4.0)),
            ("ot=th:ffffffffffffff", Some(72_057_594_037_927_936.0)),
            ("ot=th:", None),
            ("ot=th:fffffffffffffff", None),
            ("ot=th:xyz", None),
            ("ot=rv:abcdefabcdef12", None),
            ("not=th:8", None),
            ("", None),
        ];
        for (trace_state, rate) in cases {
            assert_eq!(from_trace_state(trace_state.as_bytes()), *rate, "{trace_state}");
        }
    }

    #[test]
    fn sample_rate_from_an_attribute() {
        let cases = [
            (Value::I64(20), Some(20.0)),
            (Value::F64(2.5), Some(2.5)),
            (Value::Text(b"10"), Some(10.0)),
            (Value::I64(0), Some(1.0)),
            (Value::I64(-5), Some(1.0)),
            (Value::I64(i64::MAX), Some(RATE_MAX)),
            (Value::F64(f64::INFINITY), Some(RATE_MAX)),
            (Value::F64(f64::NAN), None),
            (Value::Text(b"many"), None),
            (Value::Bool(true), None),
        ];
        for (value, rate) in cases {
            assert_eq!(from_value(value), rate, "{value:?}");
        }
        let both = [(&b"SampleRate"[..], Value::I64(3)), (b"sampleRate", Value::I64(4))];
        assert_eq!(from_attributes(both.into_iter()), Some(4.0));
    }
}
