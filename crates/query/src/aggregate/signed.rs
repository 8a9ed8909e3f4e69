//! What drawn units contribute to a sum, so that the variance of the sum can be told with every unit as one.
//!
//! Units are drawn independently (Poisson sampling), unit i with the probability 1/wᵢ. The estimate Σ wᵢyᵢ of Horvitz and
//! Thompson (JASA 47, 1952), yᵢ being the sum over the unit's own events, has a variance that is estimated without bias by
//! Σ wᵢ(wᵢ−1)yᵢ². Every event adds √(w(w−1))·x to what its unit contributes; the sum of squares of contributions is that
//! variance.
//!
//! While units are few, each has its contribution. Beyond that the unit's hash says to which of [`CELLS`] signed sums an
//! event is added, and with which sign: squares of these sums add up to the same sum of squares, without bias and with a
//! relative standard error of √(2/CELLS), 9 % (Alon, Matias and Szegedy 1996; one sum instead of all for each event:
//! Charikar, Chen and Farach-Colton 2002, Thorup and Zhang 2004). Signs follow from the unit alone, so that contributions
//! to different sums can be subtracted afterwards: the variance of a ratio, or of any formula, is that of its linear part.

/// Units that have contributions of their own.
pub const FEW_MAX: usize = 512;

/// Signed sums, beyond that: the standard error of an interval's width is 4 %.
pub const CELLS: usize = 256;

/// Hashes that are kept for counting units beyond that: within 4.5 %.
const SMALLEST_MAX: usize = 512;

/// Contributions to a sum of values and to the count of these.
#[derive(Clone, Copy, Default, Debug)]
struct Pair {
    value: f64,
    count: f64,
}

impl Pair {
    fn add(&mut self, other: Pair, sign: f64) {
        self.value += sign * other.value;
        self.count += sign * other.count;
    }
}

/// Contributions of drawn units, and how many units there are.
#[derive(Clone, Debug, Default)]
pub struct Signed {
    places: Places,
    /// The smallest hashes of units, rising; empty while units are few.
    smallest: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Places {
    /// By unit, in order of arrival.
    Few {
        units: Vec<u64>,
        pairs: Vec<Pair>,
        last: usize,
    },
    Many(Box<[Pair; CELLS]>),
}

impl Default for Places {
    fn default() -> Places {
        Places::Few { units: Vec::new(), pairs: Vec::new(), last: 0 }
    }
}

/// The signed sum of a unit, and its sign.
#[inline]
fn cell(unit: u64) -> (usize, f64) {
    // One of 256.
    let place = usize::from(unit.to_le_bytes()[0]);
    // Bits that neither the place nor the order of units has much to do with.
    (place, if unit >> 32 & 1 == 0 { 1.0 } else { -1.0 })
}

impl Signed {
    /// Adds an event of a unit.
    #[inline]
    pub fn add(&mut self, unit: u64, weight: f64, value: f64) {
        let spread = (weight * (weight - 1.0)).sqrt();
        self.add_pair(unit, Pair { value: spread * value, count: spread });
    }

    fn add_pair(&mut self, unit: u64, pair: Pair) {
        match &mut self.places {
            Places::Few { units, pairs, last } => {
                // Events of a trace come together more often than not.
                let known = if units.get(*last) == Some(&unit) {
                    Some(*last)
                } else {
                    units.iter().position(|known| *known == unit)
                };
                if let Some(sum) = known.and_then(|place| pairs.get_mut(place)) {
                    sum.add(pair, 1.0);
                    *last = known.unwrap_or_default();
                    return;
                }
                *last = units.len();
                units.push(unit);
                pairs.push(pair);
                if units.len() > FEW_MAX {
                    self.make_many();
                }
            }
            Places::Many(cells) => {
                let (place, sign) = cell(unit);
                if let Some(sum) = cells.get_mut(place) {
                    sum.add(pair, sign);
                }
                self.note(unit);
            }
        }
    }

    fn make_many(&mut self) {
        if let Places::Few { units, pairs, .. } = std::mem::take(&mut self.places) {
            let mut cells = Box::new([Pair::default(); CELLS]);
            for (&unit, &pair) in units.iter().zip(&pairs) {
                let (place, sign) = cell(unit);
                if let Some(sum) = cells.get_mut(place) {
                    sum.add(pair, sign);
                }
            }
            self.places = Places::Many(cells);
            units.into_iter().for_each(|unit| self.note(unit));
        }
    }

    /// Counts a unit.
    #[inline]
    fn note(&mut self, unit: u64) {
        let is_full = self.smallest.len() == SMALLEST_MAX;
        if is_full && self.smallest.last().is_some_and(|last| unit >= *last) {
            return;
        }
        if let Err(place) = self.smallest.binary_search(&unit) {
            self.smallest.insert(place, unit);
            self.smallest.truncate(SMALLEST_MAX);
        }
    }

    /// Adds what another has, as if it came later.
    pub fn merge(&mut self, other: &Signed) {
        match &other.places {
            Places::Few { units, pairs, .. } => {
                units.iter().zip(pairs).for_each(|(&unit, &pair)| self.add_pair(unit, pair));
            }
            Places::Many(more) => {
                if matches!(self.places, Places::Few { .. }) {
                    self.make_many();
                }
                if let Places::Many(cells) = &mut self.places {
                    cells.iter_mut().zip(more.iter()).for_each(|(sum, pair)| sum.add(*pair, 1.0));
                }
                other.smallest.iter().for_each(|&unit| self.note(unit));
            }
        }
    }

    /// Units that were kept: exact up to [`SMALLEST_MAX`], then from how close together the smallest hashes lie
    /// (Bar-Yossef and others 2002).
    pub fn units(&self) -> u64 {
        if let Places::Few { units, .. } = &self.places {
            return units.len() as u64;
        }
        match self.smallest.last() {
            Some(&last) if self.smallest.len() == SMALLEST_MAX => {
                #[expect(clippy::cast_precision_loss, reason = "an estimate within a few percent")]
                let share = last as f64 / u64::MAX as f64;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a count of units"
                )]
                let units = ((SMALLEST_MAX - 1) as f64 / share).round() as u64;
                units
            }
            _ => self.smallest.len() as u64,
        }
    }

    /// What units contribute to `of_value` times the sum of values plus `of_count` times their count.
    pub fn contributions(&self, of_value: f64, of_count: f64) -> Contributions {
        // Infinity times nothing is nothing here.
        let part = |of: f64, sum: f64| if of == 0.0 { 0.0 } else { of * sum };
        let of = |pair: &Pair| part(of_value, pair.value) + part(of_count, pair.count);
        let sums = match &self.places {
            Places::Few { units, pairs, .. } => {
                Sums::Few(units.iter().zip(pairs).map(|(&unit, pair)| (unit, of(pair))).collect())
            }
            Places::Many(cells) => Sums::Many(cells.iter().map(of).collect()),
        };
        Contributions { sums, units: self.units(), is_light: true }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let places = match &self.places {
            Places::Few { units, pairs, .. } => {
                units.capacity() * size_of::<u64>() + pairs.capacity() * size_of::<Pair>()
            }
            Places::Many(cells) => size_of_val(&**cells),
        };
        places + self.smallest.capacity() * size_of::<u64>()
    }
}

/// What units contribute to a number.
#[derive(Clone, Debug)]
pub struct Contributions {
    sums: Sums,
    /// Units that were kept.
    pub units: u64,
    /// Whether what they are made of has no heavy tail, as far as that was looked at already.
    pub is_light: bool,
}

#[derive(Clone, Debug)]
enum Sums {
    Few(Vec<(u64, f64)>),
    Many(Vec<f64>),
}

/// How contributions are spread.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// The variance: the sum of their squares.
    pub variance: f64,
    /// Among how many units the variance would be shared if they had equal parts of it: (Σv)²/Σv². Few, where some
    /// contribute far more than others.
    pub effective: f64,
    /// Units that were kept.
    pub units: u64,
    /// How heavy the tail of contributions is: 1/α of a power law ([`tail`]); `None` where only signed sums are known.
    pub tail: Option<f64>,
    /// See [`Contributions::is_light`].
    pub is_light: bool,
    /// Signed sums that the variance is from; `None` when it is from the units themselves.
    pub lanes: Option<f64>,
}

/// The mean of the logarithms by which the largest tenth of some sizes passes the next one (Hill, Annals of Statistics 3,
/// 1975): of a power law with exponent α it is 1/α, of an exponential tail about a third, of a normal one a fifth.
fn tail(mut sizes: Vec<f64>) -> f64 {
    let largest = (sizes.len() / 10).max(10);
    if sizes.len() <= largest {
        return f64::INFINITY;
    }
    let (above, next, _) = sizes.select_nth_unstable_by(largest, |a, b| b.total_cmp(a));
    let next = *next;
    above.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "a number of units")]
    let mean = above.iter().map(|size| (size / next).ln()).sum::<f64>() / largest as f64;
    if mean.is_finite() { mean } else { f64::INFINITY }
}

impl Spread {
    /// That of units with contributions of their own.
    pub fn of_units(contributions: impl Iterator<Item = f64>) -> Spread {
        let sizes: Vec<f64> = contributions.map(f64::abs).collect();
        let (mut variance, mut fourth) = (0.0, 0.0);
        for size in &sizes {
            let square = size * size;
            variance += square;
            fourth += square * square;
        }
        let (units, tail) = (sizes.len() as u64, Some(tail(sizes)));
        let effective = effective(variance, fourth);
        Spread { variance, effective, units, tail, is_light: true, lanes: None }
    }

    /// That of signed sums over many units.
    #[expect(clippy::cast_precision_loss, reason = "counts of units and lanes")]
    pub fn of_lanes(sums: &[f64], units: u64) -> Spread {
        let lanes = sums.len() as f64;
        let Spread { variance, effective, .. } = Spread::of_units(sums.iter().copied());
        // A sum of many has a fourth moment of its own, three times the square of its variance.
        let fourth = variance * variance / effective;
        let own = (fourth - 3.0 * variance * variance / lanes) / (1.0 - 3.0 / lanes);
        let equal = variance * variance / (units.max(1) as f64);
        let effective = self::effective(variance, own.max(equal));
        Spread { variance, effective, units, tail: None, is_light: true, lanes: Some(lanes) }
    }
}

fn effective(variance: f64, fourth: f64) -> f64 {
    if fourth > 0.0 { variance * variance / fourth } else { 0.0 }
}

impl Contributions {
    /// Those to a sum of numbers, each with its factor. Of no number, no units.
    pub fn sum<'c>(parts: impl Iterator<Item = (f64, &'c Contributions)> + Clone) -> Contributions {
        let units = parts.clone().map(|(_, part)| part.units).max().unwrap_or_default();
        let is_light = parts.clone().all(|(_, part)| part.is_light);
        let many = parts.clone().any(|(_, part)| matches!(part.sums, Sums::Many(_)));
        if many {
            let mut sums = vec![0.0; CELLS];
            for (factor, part) in parts {
                match &part.sums {
                    Sums::Many(more) => {
                        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += factor * more)
                    }
                    Sums::Few(few) => {
                        for &(unit, more) in few {
                            let (place, sign) = cell(unit);
                            if let Some(sum) = sums.get_mut(place) {
                                *sum += sign * factor * more;
                            }
                        }
                    }
                }
            }
            return Contributions { sums: Sums::Many(sums), units, is_light };
        }
        let mut sums: std::collections::BTreeMap<u64, f64> = std::collections::BTreeMap::new();
        for (factor, part) in parts {
            if let Sums::Few(few) = &part.sums {
                few.iter().for_each(|(unit, more)| *sums.entry(*unit).or_default() += factor * more);
            }
        }
        let units = units.max(sums.len() as u64);
        Contributions { sums: Sums::Few(sums.into_iter().collect()), units, is_light }
    }

    /// How they are spread.
    pub fn spread(&self) -> Spread {
        let spread = match &self.sums {
            Sums::Few(sums) => Spread::of_units(sums.iter().map(|(_, sum)| *sum)),
            Sums::Many(sums) => Spread::of_lanes(sums, self.units),
        };
        Spread { units: self.units, is_light: self.is_light, ..spread }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_event::hash::HashKey;

    fn unit(number: u32) -> u64 {
        HashKey(3).hash(&number.to_le_bytes())
    }

    /// Contributions of so many units, with three events each, added in parts.
    fn of(units: u32, parts: u32) -> Signed {
        let mut all = Signed::default();
        for part in 0..parts {
            let mut signed = Signed::default();
            for number in (0..units).filter(|number| number % parts == part) {
                for event in 0..3 {
                    signed.add(unit(number), 5.0, f64::from(number % 7 + event));
                }
            }
            all.merge(&signed);
        }
        all
    }

    fn exact(units: u32) -> (f64, f64) {
        let squares = (0..units).map(|number| f64::from(3 * (number % 7) + 3).powi(2) * 20.0);
        (squares.clone().sum(), squares.map(|square| square * square).sum())
    }

    #[test]
    fn spans_of_a_trace_are_one_contribution() {
        let mut signed = Signed::default();
        for _ in 0..10 {
            signed.add(unit(1), 4.0, 1.0);
        }
        signed.add(unit(2), 4.0, 1.0);
        let spread = signed.contributions(1.0, 0.0).spread();
        assert_eq!(signed.units(), 2);
        assert!((spread.variance - 12.0 * (100.0 + 1.0)).abs() < 1e-9, "{spread:?}");
    }

    #[test]
    fn signed_sums_tell_the_variance_of_many_and_their_number() {
        for units in [400, 5_000] {
            let (variance, fourth) = exact(units);
            for parts in [1, 3] {
                let signed = of(units, parts);
                let spread = signed.contributions(1.0, 0.0).spread();
                let slack = if units > 512 { 0.3 } else { 1e-9 };
                assert!((spread.variance / variance - 1.0).abs() < slack, "{units}: {spread:?}, {variance}");
                let effective = variance * variance / fourth;
                if units > 512 {
                    assert!(spread.effective > 200.0, "{spread:?}");
                } else {
                    assert!((spread.effective / effective - 1.0).abs() < 1e-9, "{spread:?}");
                }
                let counted = signed.units().abs_diff(u64::from(units));
                assert!(counted <= if units > 512 { u64::from(units) / 5 } else { 0 }, "{}", signed.units());
            }
        }
    }

    #[test]
    fn one_unit_among_many_that_has_most_of_the_variance_is_seen() {
        let mut signed = of(3_000, 1);
        signed.add(unit(70_000), 5.0, 5_000.0);
        let spread = signed.contributions(1.0, 0.0).spread();
        assert!(spread.effective < 3.0, "{spread:?}");
    }

    #[test]
    fn contributions_of_one_unit_to_two_sums_cancel() {
        for units in [50, 2_000] {
            let (a, b) = (of(units, 2), of(units, 1));
            let (a, b) = (a.contributions(1.0, 0.0), b.contributions(2.0, 0.0));
            let none = Contributions::sum([(2.0, &a), (-1.0, &b)].into_iter()).spread();
            assert!(none.variance < 1e-6, "{none:?}");
            let few = of(10, 1).contributions(1.0, 0.0);
            let mixed = Contributions::sum([(1.0, &a), (1.0, &few)].into_iter());
            assert!(mixed.spread().variance > a.spread().variance * 0.9);
        }
    }
}
