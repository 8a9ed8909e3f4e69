//! The rows of a segment as kernels take them: a class for each, which says its side and what it stands for.
//!
//! Few sample rates occur in a segment, so that a side and a rate are a small number, and counting by class and value
//! tells rows, weights and squares exactly, without an addition of doubles for each row. Where there are more rates
//! than classes, weights lie beside the rows.

use skein_query::explain::Tally;
use skein_store::Error;
use skein_store::segment::Segment;

use super::sides::SegmentSides;
use crate::block::{Block, BlockReader};
use crate::column::{BLOCK_ROWS, RunRows};
use crate::mask::Mask;
use crate::weights::{BlockWeights, Weights};

/// The class of a row that takes no part.
pub(super) const NO_CLASS: u8 = 0;

/// Rates that have classes of their own: sixteen classes with those that take no part.
const RATES_APART: usize = 7;

/// The rows of a segment.
pub(super) struct Rows {
    classes: Vec<u8>,
    /// Side and weight of each class from 1 on.
    kinds: Vec<(usize, f64)>,
    /// What each row stands for, where classes do not say it.
    weights: Option<Vec<f64>>,
    /// The class of each block whose rows have all the same.
    uniform: Vec<Option<u8>>,
    /// Whether each block has rows that take part.
    pub(super) wanted: Vec<bool>,
    /// The rows that take part, by context.
    by_context: Vec<Tally>,
    /// All of them.
    pub(super) total: Tally,
}

/// Rates in the order in which they are met.
#[derive(Default)]
struct Rates(Vec<f64>);

impl Rates {
    #[expect(clippy::float_cmp, reason = "rates are told apart as they are")]
    fn place(&mut self, rate: f64) -> Option<usize> {
        let known = self.0.iter().position(|known| *known == rate);
        if known.is_none() && self.0.len() < RATES_APART {
            self.0.push(rate);
            return Some(self.0.len() - 1);
        }
        known
    }
}

fn class_of(side: usize, rate: usize) -> u8 {
    u8::try_from(1 + side + 2 * rate).unwrap_or(NO_CLASS)
}

impl Rows {
    pub(super) fn new(segment: &Segment, sides: &SegmentSides, weighted: bool) -> Result<Rows, Error> {
        let mut reader = BlockReader::open(segment)?;
        let blocks = segment.rows().div_ceil(BLOCK_ROWS) as usize;
        let wanted: Vec<bool> = (0..blocks).map(|block| sides.any(block)).collect();
        let mut rows = Rows {
            classes: vec![NO_CLASS; segment.rows() as usize],
            kinds: Vec::new(),
            weights: if weighted { weights(segment, &mut reader, &wanted)? } else { None },
            uniform: vec![Some(NO_CLASS); blocks],
            wanted,
            by_context: Vec::new(),
            total: Tally::default(),
        };
        rows.divide(sides);
        rows.tally(&mut reader, segment.contexts() as usize);
        Ok(rows)
    }

    fn divide(&mut self, sides: &SegmentSides) {
        let mut rates = Rates::default();
        let mut too_many = false;
        let weights = self.weights.as_deref();
        if weights.is_none() {
            rates.0.push(1.0);
        }
        for (block, classes) in self.classes.chunks_mut(BLOCK_ROWS as usize).enumerate() {
            let start = block * BLOCK_ROWS as usize;
            let of_block = weights.and_then(|weights| weights.get(start..start + classes.len()));
            sides.each(block, classes.len(), |side, places| match of_block {
                None => classes.get_mut(places).unwrap_or_default().fill(class_of(side, 0)),
                Some(weights) => {
                    for place in places {
                        let rate = rates.place(weights[place]);
                        too_many |= rate.is_none();
                        classes[place] = class_of(side, rate.unwrap_or_default());
                    }
                }
            });
            let first = classes.first().copied().unwrap_or(NO_CLASS);
            let is_uniform = classes.iter().fold(true, |same, class| same & (*class == first));
            if let Some(uniform) = self.uniform.get_mut(block) {
                *uniform = is_uniform.then_some(first);
            }
        }
        if too_many {
            // The sides remain classes: of odd ones the selection's, of even ones the baseline's.
            self.classes.iter_mut().filter(|class| **class != NO_CLASS).for_each(|class| {
                *class = class_of(usize::from(*class - 1) % 2, 0);
            });
            self.uniform.iter_mut().flatten().filter(|class| **class != NO_CLASS).for_each(|class| {
                *class = class_of(usize::from(*class - 1) % 2, 0);
            });
            rates.0.truncate(1);
        } else {
            self.weights = None;
        }
        self.kinds = rates.0.iter().flat_map(|rate| [(0, *rate), (1, *rate)]).collect();
    }

    fn tally(&mut self, reader: &mut BlockReader<'_>, contexts: usize) {
        let shift = self.shift();
        let mut counts = vec![0_u32; contexts << shift];
        let mut by_context = vec![Tally::default(); contexts];
        for block in (0..self.wanted.len()).filter(|block| self.wanted[*block]) {
            let start = block * BLOCK_ROWS as usize;
            reader.read(u32::try_from(start).unwrap_or(u32::MAX));
            let classes = &self.classes[start..start + reader.len()];
            // Of one context only: runs of none end nowhere.
            let one = reader.one_run(&[]);
            let mut add = |place: usize, context: u32, class: u8| {
                if class == NO_CLASS {
                    return;
                }
                match &self.weights {
                    None => {
                        if let Some(count) = counts.get_mut((context as usize) << shift | usize::from(class))
                        {
                            *count += 1;
                        }
                    }
                    Some(weights) => {
                        if let Some(tally) = by_context.get_mut(context as usize) {
                            tally.add(usize::from(class - 1), weights[start + place]);
                        }
                    }
                }
            };
            match one {
                Some(context) => {
                    classes.iter().enumerate().for_each(|(place, class)| add(place, context, *class));
                }
                None => classes
                    .iter()
                    .zip(reader.contexts())
                    .enumerate()
                    .for_each(|(place, (class, context))| add(place, *context, *class)),
            }
        }
        if self.weights.is_none() {
            for (tally, counts) in by_context.iter_mut().zip(counts.chunks(1 << shift)) {
                *tally = self.tally_of(counts);
            }
        }
        for tally in &by_context {
            self.total.merge(tally);
        }
        self.by_context = by_context;
    }

    /// A count by class as a tally.
    pub(super) fn tally_of(&self, counts: &[u32]) -> Tally {
        let mut tally = Tally::default();
        for (&(side, rate), &count) in self.kinds.iter().zip(counts.get(1..).unwrap_or_default()) {
            tally.rows[side] += u64::from(count);
            tally.weight[side] += f64::from(count) * rate;
            tally.squares[side] += f64::from(count) * rate * rate;
        }
        tally
    }

    /// So many bits a class takes.
    pub(super) fn shift(&self) -> u32 {
        (self.kinds.len() + 1).next_power_of_two().trailing_zeros()
    }

    /// Whether classes do not say what rows stand for.
    pub(super) fn has_weights(&self) -> bool {
        self.weights.is_some()
    }

    /// What a row of a class stands for.
    #[inline]
    pub(super) fn weight(&self, row: u32, class: u8) -> f64 {
        match &self.weights {
            Some(weights) => weights.get(row as usize).copied().unwrap_or(1.0),
            None => {
                usize::from(class).checked_sub(1).and_then(|kind| self.kinds.get(kind)).map_or(1.0, |k| k.1)
            }
        }
    }

    /// The side of a class that takes part.
    #[inline]
    pub(super) fn side(class: u8) -> usize {
        usize::from(class.wrapping_sub(1) & 1)
    }

    /// The class of each row.
    pub(super) fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// The class that all of some rows have, if blocks say so.
    pub(super) fn class_of_all(&self, rows: RunRows<'_>) -> Option<u8> {
        let (first, last) = match rows {
            RunRows::From(first, len) => (first as usize, (first as usize + len).checked_sub(1)?),
            RunRows::These(rows) => (*rows.first()? as usize, *rows.last()? as usize),
        };
        let blocks = first / BLOCK_ROWS as usize..last / BLOCK_ROWS as usize + 1;
        let blocks = self.uniform.get(blocks)?;
        let class = (*blocks.first()?)?;
        blocks.iter().all(|of| *of == Some(class)).then_some(class)
    }

    /// The rows that take part, by context.
    pub(super) fn by_context(&self) -> &[Tally] {
        &self.by_context
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.classes.len()
            + self.weights.as_ref().map_or(0, |weights| weights.len() * size_of::<f64>())
            + self.by_context.len() * size_of::<Tally>()
    }
}

/// What each row stands for; `None` when each stands for itself.
fn weights(
    segment: &Segment,
    reader: &mut BlockReader<'_>,
    wanted: &[bool],
) -> Result<Option<Vec<f64>>, Error> {
    let mut weights = Weights::bind(segment)?;
    let mut found: Option<Vec<f64>> = None;
    for (start, _) in
        (0..segment.rows()).step_by(BLOCK_ROWS as usize).zip(wanted).filter(|(_, wanted)| **wanted)
    {
        reader.read(start);
        let mask = Mask::all(reader.len());
        if let BlockWeights::Each(of_block) = weights.of_block(&Block { rows: reader, mask: &mask })? {
            let all = found.get_or_insert_with(|| vec![1.0; segment.rows() as usize]);
            let start = start as usize;
            all[start..start + of_block.len()].copy_from_slice(of_block);
        }
    }
    Ok(found)
}
