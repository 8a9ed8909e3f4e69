//! Events as a table in memory, counted row by row.

use std::collections::BTreeMap;

use skein_event::hash::HashKey;
use skein_event::value::Value;
use skein_query::QueryError;
use skein_query::explain::{
    Cell, Clusters, ColumnCounts, Condition, Counts, Overlaps, Passes, Sums, Tally, Traces, cluster,
};

const KEY: HashKey = HashKey(0x7e57);

/// A value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Plain {
    Text(u64),
    Number(f64),
}

/// Events with their sides.
#[derive(Default)]
pub(super) struct Table {
    traces: Vec<u64>,
    weights: Vec<f64>,
    /// 0 selection, 1 baseline.
    sides: Vec<usize>,
    columns: Vec<(String, Vec<Option<Plain>>)>,
}

impl Table {
    pub(super) fn event(&mut self, trace: u64, weight: f64) {
        self.traces.push(trace);
        self.weights.push(weight);
        self.sides.push(1);
    }

    pub(super) fn column(&mut self, name: &str, values: Vec<Option<Plain>>) {
        assert_eq!(values.len(), self.traces.len());
        self.columns.push((name.to_owned(), values));
    }

    pub(super) fn select(&mut self, row: usize, selected: bool) {
        self.sides[row] = usize::from(!selected);
    }

    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    pub(super) fn trace(&self, row: usize) -> u64 {
        self.traces[row]
    }

    fn meets(&self, condition: &Condition, row: usize) -> bool {
        let value = self.columns[condition.column()].1[row];
        match (condition, value) {
            (_, None) => false,
            (Condition::Exists { .. }, Some(_)) => true,
            (Condition::Value { key, .. }, Some(Plain::Text(text))) => *key == text,
            (Condition::Range { from, to, .. }, Some(Plain::Number(number))) => {
                let cell = Cell::of_finite(number);
                from.is_none_or(|from| from <= cell) && to.is_none_or(|to| cell < to)
            }
            _ => false,
        }
    }

    fn cluster(&self, row: usize) -> (usize, f64) {
        cluster(KEY.hash(&self.traces[row].to_le_bytes()))
    }

    fn add(&self, sums: &mut Sums, row: usize) {
        sums.add(self.sides[row], self.weights[row], self.cluster(row).0);
    }
}

impl Passes for Table {
    fn counts(&mut self) -> Result<Counts, QueryError> {
        let mut counts = Counts::default();
        for row in 0..self.len() {
            counts.total.add(self.sides[row], self.weights[row]);
        }
        for (name, values) in &self.columns {
            let mut present = Tally::default();
            let mut texts: BTreeMap<u64, Tally> = BTreeMap::new();
            let mut cells: BTreeMap<Cell, Tally> = BTreeMap::new();
            for (row, value) in values.iter().enumerate() {
                let (side, weight) = (self.sides[row], self.weights[row]);
                match value {
                    None => continue,
                    Some(Plain::Text(text)) => texts.entry(*text).or_default().add(side, weight),
                    Some(Plain::Number(number)) => {
                        cells.entry(Cell::of_finite(*number)).or_default().add(side, weight);
                    }
                }
                present.add(side, weight);
            }
            counts.columns.push(ColumnCounts {
                name: name.as_str().into(),
                present,
                values: texts.into_iter().collect(),
                cells: cells.into_iter().collect(),
                truncated: false,
            });
        }
        Ok(counts)
    }

    fn clusters(&mut self, conditions: &[Condition]) -> Result<Clusters, QueryError> {
        let mut clusters =
            Clusters { total: Traces::default(), met: conditions.iter().map(|_| Sums::default()).collect() };
        for row in 0..self.len() {
            clusters.total.add(self.sides[row], self.weights[row], self.cluster(row));
            for (condition, sums) in conditions.iter().zip(&mut clusters.met) {
                if self.meets(condition, row) {
                    self.add(sums, row);
                }
            }
        }
        Ok(clusters)
    }

    fn overlaps(
        &mut self,
        conditions: &[Condition],
        pairs: &[(usize, usize)],
    ) -> Result<Overlaps, QueryError> {
        let count = conditions.len();
        let mut overlaps = Overlaps {
            conditions: count,
            together: vec![[0.0; 2]; count * count],
            pairs: pairs.iter().map(|_| Sums::default()).collect(),
        };
        for row in 0..self.len() {
            let met: Vec<bool> = conditions.iter().map(|condition| self.meets(condition, row)).collect();
            for a in (0..count).filter(|a| met[*a]) {
                for b in (0..count).filter(|b| met[*b]) {
                    overlaps.together[a * count + b][self.sides[row]] += self.weights[row];
                }
            }
            for (&(a, b), sums) in pairs.iter().zip(&mut overlaps.pairs) {
                if met[a] && met[b] {
                    self.add(sums, row);
                }
            }
        }
        Ok(overlaps)
    }

    fn value(&mut self, _column: usize, key: u64) -> Result<Option<Value>, QueryError> {
        Ok(Some(Value::Text(format!("v{key}"))))
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; the type is whatever the caller counts in.
    pub(super) fn below<T: TryFrom<u64> + TryInto<u64>>(&mut self, bound: T) -> T {
        let bound: u64 = bound.try_into().ok().expect("a bound");
        T::try_from(self.next() % bound).ok().expect("below its bound")
    }

    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Few values often, most of them seldom.
    pub(super) fn skewed(&mut self, values: u64) -> u64 {
        self.below(values).min(self.below(values)).min(self.below(values))
    }

    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}
