//! Sums: exact for integers, compensated for doubles.

use crate::number::Number;
use crate::result::CellValue;

/// A sum of weights, whole as long as every weight is.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightSum {
    whole: i128,
    fraction: Compensated,
    fractional: bool,
}

impl WeightSum {
    /// That of so many weights of 1.
    pub fn of_count(count: u64) -> WeightSum {
        WeightSum { whole: i128::from(count), ..WeightSum::default() }
    }

    /// Adds a weight of 1.
    #[inline]
    pub fn add_one(&mut self) {
        self.whole += 1;
    }

    /// Adds a weight.
    pub fn add(&mut self, weight: f64) {
        match whole_weight(weight) {
            Some(whole) => self.whole += i128::from(whole),
            None => {
                self.fraction.add(weight);
                self.fractional = true;
            }
        }
    }

    /// Adds what another sum has.
    pub fn merge(&mut self, other: &WeightSum) {
        self.whole += other.whole;
        self.fraction.merge(&other.fraction);
        self.fractional |= other.fractional;
    }

    /// Whether nothing was added.
    pub fn is_zero(&self) -> bool {
        self.whole == 0 && !self.fractional
    }

    /// The sum as a double.
    pub fn to_f64(&self) -> f64 {
        to_f64(self.whole) + self.fraction.value()
    }

    /// COUNT is an integer when every weight is whole, else a double (CONTRACT.md).
    pub fn finish(&self) -> CellValue {
        match i64::try_from(self.whole) {
            Ok(whole) if !self.fractional => CellValue::I64(whole),
            _ => CellValue::F64(self.to_f64()),
        }
    }
}

/// A weighted sum of numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Sum of integers with whole weights. Of 2⁶³ times a weight below 2⁵³ there would have to be 2¹¹ to leave
    /// i128; additions saturate there, which the conversion to a double then shows.
    whole: i128,
    double: Compensated,
    any_double: bool,
    any: bool,
}

impl Sum {
    /// Adds a number.
    pub fn add(&mut self, number: Number, weight: f64) {
        self.any = true;
        match (number, whole_weight(weight)) {
            (Number::I64(value), Some(weight)) => {
                self.whole = self.whole.saturating_add(i128::from(value) * i128::from(weight));
            }
            (number, _) => {
                self.double.add(number.to_f64() * weight);
                self.any_double = true;
            }
        }
    }

    /// Adds a number that stands for itself.
    #[inline]
    pub fn add_plain(&mut self, number: Number) {
        self.any = true;
        match number {
            Number::I64(value) => self.whole = self.whole.saturating_add(i128::from(value)),
            Number::F64(value) => {
                self.double.add(value);
                self.any_double = true;
            }
        }
    }

    /// Adds what another sum has.
    pub fn merge(&mut self, other: &Sum) {
        self.whole = self.whole.saturating_add(other.whole);
        self.double.merge(&other.double);
        self.any_double |= other.any_double;
        self.any |= other.any;
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// The sum as a double.
    pub fn to_f64(&self) -> f64 {
        to_f64(self.whole) + self.double.value()
    }

    /// Whether all was integers and yet the sum fits none.
    pub fn overflows(&self) -> bool {
        !self.any_double && i64::try_from(self.whole).is_err()
    }

    /// The cell: an integer when all was, else a double.
    pub fn finish(&self) -> CellValue {
        match i64::try_from(self.whole) {
            _ if !self.any => CellValue::Missing,
            Ok(whole) if !self.any_double => CellValue::I64(whole),
            _ => CellValue::F64(self.to_f64() + 0.0),
        }
    }
}

/// A weight that is a whole number below 2⁵³.
fn whole_weight(weight: f64) -> Option<i64> {
    const EXACT_BOUND: f64 = 9_007_199_254_740_992.0;
    let whole = weight.fract() == 0.0 && weight.abs() < EXACT_BOUND;
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    whole.then_some(weight as i64)
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
fn to_f64(whole: i128) -> f64 {
    whole as f64
}

/// A sum of doubles with Neumaier's compensation, so that a small number after a large one is not lost.
#[derive(Clone, Copy, Debug, Default)]
struct Compensated {
    sum: f64,
    compensation: f64,
}

impl Compensated {
    #[inline]
    fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_finite() {
            self.compensation += if self.sum.abs() >= value.abs() {
                (self.sum - total) + value
            } else {
                (value - total) + self.sum
            };
        }
        self.sum = total;
    }

    fn merge(&mut self, other: &Compensated) {
        self.add(other.sum);
        self.compensation += other.compensation;
    }

    fn value(&self) -> f64 {
        if self.sum.is_finite() { self.sum + self.compensation } else { self.sum }
    }
}
