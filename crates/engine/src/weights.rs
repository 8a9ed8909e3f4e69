//! How many events each row stands for, and how it came to be kept.
//!
//! Most rows stand for themselves, and most segments hold no others: what the zone map says of their sample rates is all
//! that is looked at then. Traces, and what is told of the sampling beside the rate, are read for blocks that hold others.

use skein_event::columns::Fixed;
use skein_event::hash::HashKey;
use skein_query::aggregate::Draw;
use skein_query::error::Location;
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::column::cells::{Cells, Lane, Shape};
use crate::column::{BoundColumn, Kind, MISSING};

/// The sample rates of a segment.
pub(crate) struct Weights<'a> {
    segment: &'a Segment,
    column: BoundColumn<'a>,
    cells: Cells,
    of_block: Vec<f64>,
    /// `meta.sampling.inclusion` and `meta.sampling.unit`, once a block needs them.
    inclusion: Marks<'a>,
    unit: Marks<'a>,
    trace: Option<BoundColumn<'a>>,
    draws: Vec<Draw>,
    /// Whether any row may stand for others.
    any: bool,
    /// Whether any row may be of a stratum that is kept whole.
    any_certain: bool,
    /// Whether any row may be of an inclusion that is not known, whatever its rate.
    any_unknown: bool,
}

/// The weights of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BlockWeights<'w> {
    /// Every row stands for itself.
    One,
    /// By place.
    Each(&'w [f64]),
}

impl BlockWeights<'_> {
    #[inline]
    pub(crate) fn of(&self, place: usize) -> f64 {
        match self {
            BlockWeights::One => 1.0,
            BlockWeights::Each(weights) => weights.get(place).copied().unwrap_or(1.0),
        }
    }
}

/// How the rows of a block came to be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BlockDraws<'w> {
    /// Every row stands for itself.
    Certain,
    /// By place, of rows that take part.
    Each(&'w [Draw]),
}

impl BlockDraws<'_> {
    #[inline]
    pub(crate) fn of(&self, place: usize) -> Draw {
        match self {
            BlockDraws::Certain => Draw::Certain,
            BlockDraws::Each(draws) => draws.get(place).copied().unwrap_or(Draw::Certain),
        }
    }
}

/// A rate that is none counts as an event that stands for itself.
fn weight(rate: f64) -> f64 {
    if rate.is_finite() && rate > 0.0 { rate } else { 1.0 }
}

fn nowhere() -> Location {
    Location::Path(String::new())
}

/// What a text of `meta.sampling.inclusion` or `meta.sampling.unit` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    /// `probability`, `trace`, or nothing at all: as most are.
    Usual,
    /// `certainty`: whatever is like it was kept.
    Certainty,
    /// `event`: drawn by itself.
    Event,
    /// Anything else: no probability is known.
    Unknown,
}

impl Mark {
    fn of(text: &str) -> Mark {
        match text {
            "probability" | "trace" => Mark::Usual,
            "certainty" => Mark::Certainty,
            "event" => Mark::Event,
            _ => Mark::Unknown,
        }
    }
}

/// A column of few texts, each read once.
struct Marks<'a> {
    column: BoundColumn<'a>,
    /// By part and code.
    known: Vec<Vec<Option<Mark>>>,
}

impl<'a> Marks<'a> {
    fn bind(segment: &'a Segment, fixed: Fixed) -> Result<Marks<'a>, Error> {
        let column = BoundColumn::bind(segment, &Column::stored(fixed.name(), nowhere()))?;
        let len = |place: usize| column.parts.get(place).and_then(|part| part.dictionary_len());
        let known = (0..column.parts.len()).map(|place| vec![None; len(place).unwrap_or_default()]).collect();
        Ok(Marks { column, known })
    }

    fn fill(&mut self, block: &Block<'_>) -> Result<(), Error> {
        if self.column.parts.is_empty() { Ok(()) } else { self.column.fill(block.rows) }
    }

    /// What is said at a place of the block that was filled last.
    fn at(&mut self, place: usize) -> Result<Mark, Error> {
        let number = self.column.part_of.get(place).copied().unwrap_or(MISSING);
        if number == MISSING {
            return Ok(Mark::Usual);
        }
        let bits = self.column.bits.get(place).copied().unwrap_or_default();
        self.of_code(usize::from(number), bits)
    }

    fn of_code(&mut self, number: usize, bits: u64) -> Result<Mark, Error> {
        let code = usize::try_from(bits).unwrap_or(usize::MAX);
        let known = self.known.get_mut(number).and_then(|known| known.get_mut(code));
        if let Some(Some(mark)) = known {
            return Ok(*mark);
        }
        let Some(part) = self.column.parts.get_mut(number) else { return Ok(Mark::Usual) };
        let mark = part
            .with_value(bits, |value| value.map_or(Mark::Usual, |value| Mark::of(&value.canonical_text())))?;
        if let Some(known) = known {
            *known = Some(mark);
        }
        Ok(mark)
    }

    /// Whether any value of the segment says this.
    fn says(&mut self, wanted: Mark) -> Result<bool, Error> {
        for number in 0..self.known.len() {
            for code in 0..self.known[number].len() {
                if self.of_code(number, code as u64)? == wanted {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl<'a> Weights<'a> {
    pub(crate) fn bind(segment: &'a Segment) -> Result<Weights<'a>, Error> {
        let column = BoundColumn::bind(segment, &Column::stored(Fixed::SampleRate.name(), nowhere()))?;
        let mut inclusion = Marks::bind(segment, Fixed::SamplingInclusion)?;
        let any =
            column.parts.iter().any(|part| matches!(part.kind(), Kind::Doubles(a, b) if not_one((a, b))));
        let any_certain = inclusion.says(Mark::Certainty)?;
        let any_unknown = inclusion.says(Mark::Unknown)?;
        Ok(Weights {
            segment,
            column,
            cells: Cells::default(),
            of_block: Vec::new(),
            inclusion,
            unit: Marks::bind(segment, Fixed::SamplingUnit)?,
            trace: None,
            draws: Vec::new(),
            any,
            any_certain,
            any_unknown,
        })
    }

    /// Whether every row of the segment stands for itself.
    pub(crate) fn are_one(&self) -> bool {
        !self.any && !self.any_unknown
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.column.bytes()
    }

    /// The weight of each row of a block.
    pub(crate) fn of_block(&mut self, block: &Block<'_>) -> Result<BlockWeights<'_>, Error> {
        let one = self.read(block)?;
        Ok(if one { BlockWeights::One } else { BlockWeights::Each(&self.of_block) })
    }

    /// Reads the weights of a block; true when every row stands for itself.
    fn read(&mut self, block: &Block<'_>) -> Result<bool, Error> {
        let (start, end) = (block.rows.start(), block.rows.end());
        if !self.any || !self.column.doubles_between(start, end).is_some_and(not_one) {
            return Ok(true);
        }
        self.column.cells(block.rows, &mut self.cells)?;
        let Cells { shape, lane, places, doubles, .. } = &self.cells;
        self.of_block.clear();
        match (shape, lane) {
            (Shape::Empty, _) => return Ok(true),
            (Shape::Dense(_), Lane::Doubles) => {
                self.of_block.extend(doubles.iter().map(|&rate| weight(rate)));
            }
            (Shape::Sparse(_), Lane::Doubles) => {
                self.of_block.resize(block.len(), 1.0);
                for (&place, &rate) in places.iter().zip(doubles) {
                    if let Some(slot) = self.of_block.get_mut(usize::from(place)) {
                        *slot = weight(rate);
                    }
                }
            }
            _ => {
                self.column.fill(block.rows)?;
                let cells = self.column.part_of.iter().zip(&self.column.bits);
                let rate =
                    |(&part, &bits): (&u8, &u64)| if part == MISSING { 1.0 } else { f64::from_bits(bits) };
                self.of_block.extend(cells.map(rate).map(weight));
            }
        }
        if self.any_certain {
            self.inclusion.fill(block)?;
            for (place, weight) in self.of_block.iter_mut().enumerate() {
                // A stratum of its own, of which nothing was left out.
                if is_other(*weight) && self.inclusion.at(place)? == Mark::Certainty {
                    *weight = 1.0;
                }
            }
        }
        Ok(!self.of_block.iter().any(|&weight| is_other(weight)))
    }

    /// How each row of a block that takes part came to be kept.
    pub(crate) fn draws(&mut self, block: &Block<'_>) -> Result<BlockDraws<'_>, Error> {
        let one = self.read(block)?;
        if one && !self.any_unknown {
            return Ok(BlockDraws::Certain);
        }
        if one {
            self.of_block.clear();
        }
        self.inclusion.fill(block)?;
        self.unit.fill(block)?;
        if self.trace.is_none() {
            let column = Column::stored(Fixed::TraceId.name(), nowhere());
            self.trace = Some(BoundColumn::bind(self.segment, &column)?);
        }
        let Some(trace) = &mut self.trace else { return Ok(BlockDraws::Certain) };
        trace.fill(block.rows)?;
        self.draws.clear();
        self.draws.resize(block.len(), Draw::Certain);
        let hash_key = self.segment.header().hash_key;
        let mut alone = Vec::new();
        for place in block.places() {
            let weight = self.of_block.get(place).copied().unwrap_or(1.0);
            let draw = match self.inclusion.at(place)? {
                Mark::Unknown => Draw::Unknown { weight },
                _ if !is_other(weight) => continue,
                _ => match unit_of_trace(trace, place, hash_key) {
                    Some(unit) if self.unit.at(place)? != Mark::Event => Draw::of(weight, unit),
                    _ => {
                        alone.push(place);
                        continue;
                    }
                },
            };
            if let Some(slot) = self.draws.get_mut(place) {
                *slot = draw;
            }
        }
        let rows: Vec<u32> = alone.iter().map(|&place| block.row(place)).collect();
        if !rows.is_empty() {
            for (place, id) in alone.into_iter().zip(self.segment.event_ids(&rows)?) {
                let mut bytes = [0; 14];
                bytes[..2].copy_from_slice(&id.partition.0.to_le_bytes());
                bytes[2..10].copy_from_slice(&id.offset.0.to_le_bytes());
                bytes[10..].copy_from_slice(&id.index.to_le_bytes());
                let weight = self.of_block.get(place).copied().unwrap_or(1.0);
                if let Some(slot) = self.draws.get_mut(place) {
                    *slot = Draw::of(weight, hash_key.hash(&bytes));
                }
            }
        }
        Ok(BlockDraws::Each(&self.draws))
    }
}

/// The hash of a row's trace.
fn unit_of_trace(trace: &BoundColumn<'_>, place: usize, hash_key: HashKey) -> Option<u64> {
    let part = trace.parts.get(usize::from(*trace.part_of.get(place)?))?;
    Some(hash_key.hash(&part.trace_id(*trace.bits.get(place)?)?))
}

/// Whether a weight is other than 1.
fn is_other(weight: f64) -> bool {
    #[expect(clippy::float_cmp, reason = "a weight of exactly 1 means not sampled")]
    let one = weight == 1.0;
    !one
}

fn not_one((least, most): (f64, f64)) -> bool {
    is_other(least) || is_other(most)
}
