//! What each function means, for values. The rules are those of docs/reference/calculated-fields.md, whose examples are
//! executed against this module and against the reference interpreter.

use std::cmp::Ordering;
use std::sync::Arc;

use skein_event::limits::CALCULATED_TEXT_BYTES_MAX;
use skein_event::value::canonical_f64;

use super::call::Extra;
use super::functions::Function;
use super::instant::{self, Piece};
use super::plan::{Call, Program, Step};
use super::scalar::Scalar;
use crate::number::Number;

impl Program {
    /// The value for one event, given the values of [`Program::inputs`]. `scratch` is overwritten.
    pub fn evaluate(&self, inputs: &[Scalar], scratch: &mut Vec<Scalar>) -> Scalar {
        if let Some(code) = self.insights() {
            return code.evaluate(inputs);
        }
        scratch.clear();
        for step in self.steps() {
            let value = match step {
                Step::Constant(value) => value.clone(),
                Step::Input(place) => inputs.get(*place).cloned().unwrap_or(Scalar::Null),
                Step::Call(call) => evaluate(call, scratch),
            };
            scratch.push(value);
        }
        scratch.pop().unwrap_or(Scalar::Null)
    }
}

/// The value of one step, given those before it.
pub(super) fn evaluate(call: &Call, done: &[Scalar]) -> Scalar {
    let arguments = Arguments { places: &call.arguments, done };
    let value = |place: usize| arguments.get(place);
    let holds = |wanted: &[Ordering]| {
        Scalar::Bool(value(0).order(value(1)).is_some_and(|ordering| wanted.contains(&ordering)))
    };
    let text_test = |test: fn(&str, &str) -> bool| {
        let (text, part) = (value(0).text(), value(1).text());
        Scalar::Bool(text.zip(part).is_some_and(|(text, part)| test(&text, &part)))
    };
    let two = |compute: fn(f64, f64) -> f64| match (value(0).operand(), value(1).operand()) {
        (Some(a), Some(b)) => Scalar::finite(compute(a, b)),
        _ => Scalar::Null,
    };
    match call.function {
        Function::If => chosen(&arguments, 0, Scalar::truthy),
        Function::Switch => chosen(&arguments, 1, |case| value(0).equals(case)),
        Function::Coalesce => arguments.iter().find(|x| !x.is_null()).cloned().unwrap_or(Scalar::Null),
        Function::Lt => holds(&[Ordering::Less]),
        Function::Lte => holds(&[Ordering::Less, Ordering::Equal]),
        Function::Gt => holds(&[Ordering::Greater]),
        Function::Gte => holds(&[Ordering::Greater, Ordering::Equal]),
        Function::Equals => Scalar::Bool(value(0).equals(value(1))),
        Function::In => Scalar::Bool(arguments.iter().skip(1).any(|one| value(0).equals(one))),
        Function::Exists => Scalar::Bool(!value(0).is_null()),
        Function::Not => Scalar::Bool(!value(0).truthy()),
        Function::And => Scalar::Bool(arguments.iter().all(Scalar::truthy)),
        Function::Or => Scalar::Bool(arguments.iter().any(Scalar::truthy)),
        Function::Min => extreme(&arguments, Ordering::Less),
        Function::Max => extreme(&arguments, Ordering::Greater),
        Function::Sum => {
            let mut present = arguments.iter().filter_map(Scalar::operand).peekable();
            if present.peek().is_none() { Scalar::Null } else { Scalar::finite(present.sum()) }
        }
        Function::Mul => {
            let product: Option<f64> = arguments.iter().map(Scalar::operand).product();
            product.map_or(Scalar::Null, Scalar::finite)
        }
        Function::Sub => two(|a, b| a - b),
        // By zero it is infinite or NaN, so null.
        Function::Div => two(|a, b| a / b),
        Function::Mod => two(|a, b| a % b),
        Function::Log10 => value(0).operand().map_or(Scalar::Null, |number| Scalar::finite(number.log10())),
        Function::Bucket => bucket(&arguments),
        Function::Int => integer(value(0)),
        Function::Float => value(0).operand().map_or(Scalar::Null, Scalar::finite),
        Function::Bool => Scalar::Bool(value(0).truthy()),
        Function::String => value(0).text().map_or(Scalar::Null, Scalar::Text),
        Function::Concat => concatenated(&arguments),
        Function::StartsWith => text_test(|text, part| text.starts_with(part)),
        Function::EndsWith => text_test(|text, part| text.ends_with(part)),
        Function::Contains => text_test(|text, part| text.contains(part)),
        Function::ToLower => {
            value(0).text().map_or(Scalar::Null, |text| Scalar::Text(Arc::from(text.to_lowercase())))
        }
        Function::Length => value(0).text().map_or(Scalar::Null, |text| {
            count(if call.extra == Extra::Bytes { text.len() } else { text.chars().count() })
        }),
        Function::RegMatch | Function::RegValue | Function::RegCount => matched(call, value(0)),
        Function::UnixTimestamp => match value(0) {
            Scalar::Text(text) => instant::seconds_of_rfc3339(text).map_or(Scalar::Null, Scalar::F64),
            _ => Scalar::Null,
        },
        // Planned as inputs.
        Function::EventTimestamp | Function::IngestTimestamp => Scalar::Null,
        Function::FormatTime => match &call.extra {
            Extra::Format(pieces) => formatted(pieces, value(0)),
            _ => Scalar::Null,
        },
    }
}

/// The arguments of a call, by their places among the values that are computed.
struct Arguments<'a> {
    places: &'a [u32],
    done: &'a [Scalar],
}

impl<'a> Arguments<'a> {
    /// An argument; one that was left out is null.
    fn get(&self, place: usize) -> &'a Scalar {
        let value = self.places.get(place).and_then(|&step| self.done.get(step as usize));
        value.unwrap_or(&Scalar::Null)
    }

    fn iter(&self) -> impl Iterator<Item = &'a Scalar> + '_ {
        (0..self.places.len()).map(|place| self.get(place))
    }
}

/// The value behind the first key that fits, in pairs from a place on; a last one without a key is for the rest.
fn chosen(arguments: &Arguments<'_>, from: usize, fits: impl Fn(&Scalar) -> bool) -> Scalar {
    let mut place = from;
    while place + 1 < arguments.places.len() {
        if fits(arguments.get(place)) {
            return arguments.get(place + 1).clone();
        }
        place += 2;
    }
    arguments.get(place).clone()
}

/// The least or the largest of the values that compare with the first one that is not null.
fn extreme(arguments: &Arguments<'_>, wanted: Ordering) -> Scalar {
    let Some(first) = arguments.iter().find(|value| !value.is_null()) else { return Scalar::Null };
    let mut best: Option<Scalar> = None;
    for value in arguments.iter() {
        let value = match (first, value) {
            (Scalar::Bool(_), Scalar::Bool(_)) | (Scalar::Text(_), Scalar::Text(_)) => value.clone(),
            (Scalar::I64(_) | Scalar::F64(_), Scalar::I64(_) | Scalar::F64(_) | Scalar::Text(_)) => {
                let number = match value {
                    Scalar::Text(text) => Number::of_text(text),
                    number => number.number(),
                };
                match number.map(Number::to_f64).filter(|number| !number.is_nan()) {
                    Some(number) => Scalar::F64(number),
                    None => continue,
                }
            }
            _ => continue,
        };
        let better = best.as_ref().is_none_or(|best| match (&value, best) {
            (Scalar::Bool(new), Scalar::Bool(old)) => new.cmp(old) == wanted,
            (new, old) => new.order(old) == Some(wanted),
        });
        if better {
            best = Some(value);
        }
    }
    match best {
        Some(Scalar::F64(number)) => Scalar::finite(number),
        Some(value) => value,
        None => Scalar::Null,
    }
}

fn bucket(arguments: &Arguments<'_>) -> Scalar {
    let operand = |place: usize| arguments.get(place).operand();
    let (Some(number), Some(size)) = (operand(0), operand(1)) else { return Scalar::Null };
    let (min, max) = (operand(2), operand(3));
    let label = |text: String| Scalar::Text(Arc::from(text));
    if let Some(min) = min.filter(|min| number < *min) {
        return label(format!("< {}", canonical_f64(min)));
    }
    if let Some(max) = max.filter(|max| number >= *max) {
        return label(format!(">= {}", canonical_f64(max)));
    }
    let base = min.unwrap_or(0.0);
    let index = ((number - base) / size).floor();
    let (lower, upper) = (base + index * size, base + (index + 1.0) * size);
    let upper = max.map_or(upper, |max| upper.min(max));
    // A size that is not above 0, NaN and infinities end here.
    if !(size > 0.0 && lower.is_finite() && upper.is_finite()) {
        return Scalar::Null;
    }
    label(format!("{} - {}", canonical_f64(lower), canonical_f64(upper)))
}

fn integer(value: &Scalar) -> Scalar {
    let number = match value {
        Scalar::Null => return Scalar::Null,
        Scalar::Bool(value) => Number::I64(i64::from(*value)),
        Scalar::I64(value) => Number::I64(*value),
        Scalar::F64(value) => Number::F64(*value),
        Scalar::Text(text) => Number::of_text(text).unwrap_or(Number::I64(0)),
    };
    // 2^63: every double below it, and down to its negative, is an i64 without its fraction.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    match number {
        Number::I64(value) => Scalar::I64(value),
        #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
        Number::F64(value) if (-BOUND..BOUND).contains(&value) => Scalar::I64(value.trunc() as i64),
        Number::F64(_) => Scalar::Null,
    }
}

fn concatenated(arguments: &Arguments<'_>) -> Scalar {
    let mut all = String::new();
    for text in arguments.iter().filter_map(Scalar::text) {
        if all.len() + text.len() > CALCULATED_TEXT_BYTES_MAX {
            return Scalar::Null;
        }
        all.push_str(&text);
    }
    Scalar::Text(Arc::from(all))
}

fn matched(call: &Call, value: &Scalar) -> Scalar {
    let Extra::Pattern(pattern) = &call.extra else { return Scalar::Null };
    let text = value.text();
    let text = text.as_deref();
    match call.function {
        Function::RegMatch => Scalar::Bool(text.is_some_and(|text| pattern.0.is_match(text))),
        Function::RegCount => count(text.map_or(0, |text| pattern.0.find_iter(text).count())),
        _ => {
            let found = text.and_then(|text| pattern.0.captures(text));
            let group = usize::from(pattern.0.captures_len() > 1);
            let found = found.and_then(|groups| Some(Arc::from(groups.get(group)?.as_str())));
            found.map_or(Scalar::Null, Scalar::Text)
        }
    }
}

fn formatted(pieces: &[Piece], value: &Scalar) -> Scalar {
    let seconds = match value {
        Scalar::Text(text) => {
            Number::of_text(text).map(Number::to_f64).or_else(|| instant::seconds_of_rfc3339(text))
        }
        other => other.number().map(Number::to_f64),
    };
    let text = seconds.and_then(|seconds| instant::write(pieces, seconds));
    text.map_or(Scalar::Null, |text| Scalar::Text(Arc::from(text)))
}

fn count(number: usize) -> Scalar {
    Scalar::I64(i64::try_from(number).unwrap_or(i64::MAX))
}
