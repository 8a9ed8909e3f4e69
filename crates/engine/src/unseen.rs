//! What a COUNT of nothing says of sampled data: that there was little, not that there was nothing.
//!
//! Traces of which none was kept are not in the answer. Each trace was kept with a probability of at least 1/w, w being
//! the largest weight among the events that were searched; so of three times w of them all are missed with a chance of
//! 5 % at most. Whoever asks is told that bound, unless so few were searched that w is not known either.
//!
//! Where every event stands for itself, this costs a look at zone maps, and only where a COUNT is 0.

use skein_event::columns::Fixed;
use skein_query::aggregate::{Draw, State, interval};
use skein_query::error::Location;
use skein_query::plan::{Column, Combination, Comparison, Filter, FilterSet, Literal, Operation, Test};
use skein_query::result::{Cell, CellValue, Stats};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::scan::{BlockError, Failure, Scan, Sink};
use crate::weights::{BlockDraws, Weights};

/// The sampled events that a query has searched.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Unseen {
    weight_max: f64,
    /// Traces they are of; `None` when there are events of which no probability is known.
    traces: Option<u64>,
}

impl Unseen {
    /// Looks for them in the range and the datasets of a query; `None` when there are none.
    pub(crate) fn find(scan: &Scan<'_>) -> Result<Option<Unseen>, Failure> {
        let filter = |fixed: Fixed, test: Test| Filter {
            column: Column::stored(fixed.name(), Location::Path(String::new())),
            test,
        };
        let drawn = FilterSet {
            combination: Combination::Any,
            filters: vec![
                filter(Fixed::SampleRate, Test::Compare(Comparison::Greater, Literal::I64(1))),
                filter(Fixed::SamplingInclusion, Test::In(vec![Literal::Text("unknown".to_owned())])),
            ],
        };
        let searched = Scan { filter: &drawn, related: None, datasets: scan.datasets.clone(), ..*scan };
        let mut sink = Searched { of: State::new(Operation::Count, true), weight_max: 1.0, unknown: false };
        searched.run(&mut sink, |_, _, _| Ok(()))?;
        let traces = sink.of.finish().0.stats.n_traces;
        let any = sink.unknown || sink.weight_max > 1.0;
        let traces = traces.filter(|_| !sink.unknown);
        Ok(any.then_some(Unseen { weight_max: sink.weight_max, traces }))
    }

    /// How sure a COUNT of nothing is.
    fn stats(self) -> Stats {
        let reliable = self.traces.is_some_and(|traces| traces >= interval::TRACES_MIN);
        Stats {
            lo95: reliable.then_some(0.0),
            hi95: reliable.then_some(interval::unseen_max(self.weight_max)),
            exact: false,
            n_traces: self.traces,
            reliable,
        }
    }

    /// Says it of a cell of an operation that is a COUNT of nothing.
    pub(crate) fn tell(unseen: Option<Unseen>, operation: Operation, cell: &mut Cell) {
        if let Some(unseen) = unseen.filter(|_| counts_nothing(operation, cell)) {
            cell.stats = unseen.stats();
        }
    }
}

/// Whether a cell is a COUNT of nothing.
pub(crate) fn counts_nothing(operation: Operation, cell: &Cell) -> bool {
    operation == Operation::Count && cell.value == CellValue::I64(0)
}

/// Gathers the weights of what was searched.
struct Searched {
    of: State,
    weight_max: f64,
    unknown: bool,
}

impl Sink for Searched {
    type Bound<'s> = Weights<'s>;

    fn bind<'s>(&mut self, _place: usize, segment: &'s Segment) -> Result<(Weights<'s>, u64), Error> {
        Ok((Weights::bind(segment)?, 0))
    }

    fn block(&mut self, weights: &mut Weights<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let BlockDraws::Each(draws) = weights.draws(block)? else { return Ok(()) };
        for draw in block.places().filter_map(|place| draws.get(place)) {
            self.unknown |= matches!(draw, Draw::Unknown { .. });
            self.weight_max = self.weight_max.max(draw.weight());
            self.of.add_event(*draw);
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.of.heap_bytes()
    }
}
