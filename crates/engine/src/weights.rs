//! How many events each row stands for.

use skein_query::error::Location;
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::column::cells::{Cells, Lane, Shape};
use crate::column::{BoundColumn, MISSING};

/// The sample rates of a segment.
pub(crate) struct Weights<'a> {
    column: BoundColumn<'a>,
    cells: Cells,
    of_block: Vec<f64>,
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

/// A rate that is none counts as an event that stands for itself.
fn weight(rate: f64) -> f64 {
    if rate.is_finite() && rate > 0.0 { rate } else { 1.0 }
}

impl<'a> Weights<'a> {
    pub(crate) fn bind(segment: &'a Segment) -> Result<Weights<'a>, Error> {
        let column = Column::stored("sample_rate", Location::Path(String::new()));
        let column = BoundColumn::bind(segment, &column)?;
        Ok(Weights { column, cells: Cells::default(), of_block: Vec::new() })
    }

    /// Whether every row of the segment stands for itself.
    pub(crate) fn are_one(&self) -> bool {
        self.column.parts.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.column.bytes()
    }

    /// The weight of each row of a block.
    pub(crate) fn of_block(&mut self, block: &Block<'_>) -> Result<BlockWeights<'_>, Error> {
        self.column.cells(block.rows, &mut self.cells)?;
        let Cells { shape, lane, places, doubles, .. } = &self.cells;
        self.of_block.clear();
        match (shape, lane) {
            (Shape::Empty, _) => return Ok(BlockWeights::One),
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
        #[expect(clippy::float_cmp, reason = "a weight of exactly 1 means not sampled")]
        let one = self.of_block.iter().all(|&weight| weight == 1.0);
        Ok(if one { BlockWeights::One } else { BlockWeights::Each(&self.of_block) })
    }
}
