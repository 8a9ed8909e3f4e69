//! Rows into stages: computes what a plan wants of each event and pushes it.

use skein_event::ids::EventId;
use skein_query::insights::Code;
use skein_query::insights::run::{Pipeline, Row};
use skein_store::Error;
use skein_store::segment::Segment;

use super::code::BoundCode;
use crate::block::Block;
use crate::scan::{BlockError, Sink};
use crate::weights::Weights;

/// The stages, and what they are fed with.
pub(crate) struct Feed<'p> {
    code: &'p Code,
    slots: &'p [usize],
    pub(crate) pipeline: Pipeline<'p>,
    /// The range at hand is the one that is compared with.
    pub(crate) earlier: bool,
    /// Whether any row stood for other than one event.
    pub(crate) weighted: bool,
}

impl<'p> Feed<'p> {
    pub(crate) fn new(code: &'p Code, slots: &'p [usize], pipeline: Pipeline<'p>) -> Feed<'p> {
        Feed { code, slots, pipeline, earlier: false, weighted: false }
    }

    /// What the feed's program is, bound to a segment.
    pub(crate) fn bind_code<'s>(&self, segment: &'s Segment) -> Result<BoundCode<'s>, Error> {
        BoundCode::bind(segment, self.code)
    }

    /// The row of the last results.
    pub(crate) fn row(&mut self, code: &BoundCode<'_>, time_ns: i64, id: EventId, weight: f64) -> Row {
        let width = self.slots.iter().map(|slot| slot + 1).max().unwrap_or_default();
        let mut row = Row { values: Vec::with_capacity(width), weight, time_ns, id, earlier: self.earlier };
        for (slot, value) in self.slots.iter().zip(code.outputs()) {
            row.set(*slot, value.clone());
        }
        self.weighted |= weight.to_bits() != 1.0_f64.to_bits();
        row
    }
}

impl Sink for Feed<'_> {
    type Bound<'s> = (&'s Segment, BoundFeed<'s>);

    fn bind<'s>(&mut self, _place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error> {
        let code = self.bind_code(segment)?;
        let bytes = code.bytes();
        Ok(((segment, BoundFeed { code, weights: Weights::bind(segment)? }), bytes))
    }

    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let (segment, BoundFeed { code, weights }) = bound;
        let places: Vec<usize> = block.places().collect();
        let rows: Vec<u32> = places.iter().map(|place| block.row(*place)).collect();
        let ids = segment.event_ids(&rows)?;
        code.fill(block.rows, &places)?;
        let weights = weights.of_block(block)?;
        for (place, id) in places.into_iter().zip(ids) {
            code.run(place)?;
            let row = self.row(code, block.times()[place], id, weights.of(place));
            self.pipeline.push(row);
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.pipeline.memory_bytes()
    }
}

/// What a feed reads of a segment.
pub(crate) struct BoundFeed<'s> {
    code: BoundCode<'s>,
    weights: Weights<'s>,
}
