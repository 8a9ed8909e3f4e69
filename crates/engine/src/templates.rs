//! Feeds the texts of a column to a collector of templates (docs/reference/templates.md).
//!
//! A text of a dictionary is looked at once a segment, however often it comes; after that its code stands for its shape.
//! One thread takes rows in the order of the snapshot.
//!
//! What it refuses: to judge. That is `skein-analysis`.

use std::sync::Arc;

use skein_query::RunContext;
use skein_query::number::ValueRef;
use skein_query::plan::Plan;
use skein_query::templates::{Collected, Collector, Occurrence, ShapeId, TemplatesPlan};
use skein_store::Error;
use skein_store::segment::{Segment, trace_hash};

use crate::block::Block;
use crate::column::{BoundColumn, MISSING};
use crate::meta;
use crate::relation::Relations;
use crate::relation::ids::NO_TRACE;
use crate::relation::keys::{RowKeys, Wanted};
use crate::resolve;
use crate::scan::{BlockError, Counters, Failure, Scan, Sink};
use crate::snapshot::SnapshotView;
use crate::weights::Weights;
use crate::workers::Workers;

/// Collects the shapes of a column's texts.
pub(crate) fn run(
    plan: &TemplatesPlan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    workers: &Workers,
) -> Result<Collected, Failure> {
    let mut warnings = Vec::new();
    let mut counters = Counters::default();
    let mut collector = Collector::default();
    let mut without_text = [0; 2];
    let sides: Vec<&Plan> = std::iter::once(&plan.now).chain(&plan.baseline).collect();
    let count = sides.len();
    for (number, side) in sides.into_iter().enumerate() {
        resolve::check(side, view, excluded, context, &mut warnings)?;
        let related: Option<Arc<Relations>> = match side.is_relational() {
            true => Some(Relations::collect(side, view, excluded, context, workers, &mut counters)?),
            false => None,
        };
        let held = related.as_ref().map_or(0, |related| related.memory_bytes());
        let memory_bytes_max = context.memory_bytes_max.saturating_sub(held);
        let context = &RunContext { memory_bytes_max, ..*context };
        let scan = Scan::of_plan(side, view, excluded, related.as_ref(), context, workers);
        let mut pass = Pass {
            plan,
            earlier: number == 1,
            weighted: !side.usage_mode,
            collector: &mut collector,
            without_text: 0,
        };
        #[expect(clippy::cast_precision_loss, reason = "one of two")]
        let of_all = |fraction: f64| (number as f64 + fraction) / count as f64;
        counters.add(&scan.run(&mut pass, |_, _, fraction| {
            (context.progress)(of_all(fraction));
            Ok(())
        })?);
        without_text[number] = pass.without_text;
    }
    warnings.dedup();
    let meta = meta::meta(&plan.now, view, excluded, context, &counters, warnings)?;
    Ok(Collected { collector, without_text, meta })
}

struct Pass<'p, 'c> {
    plan: &'p TemplatesPlan,
    earlier: bool,
    weighted: bool,
    collector: &'c mut Collector,
    without_text: u64,
}

struct BoundTexts<'s> {
    segment: &'s Segment,
    column: BoundColumn<'s>,
    /// By part and code: the shape, once it is known.
    shapes: Vec<Vec<Option<ShapeId>>>,
    keys: RowKeys<'s>,
    weights: Option<Weights<'s>>,
}

impl Sink for Pass<'_, '_> {
    type Bound<'s> = BoundTexts<'s>;

    fn bind<'s>(&mut self, _place: usize, segment: &'s Segment) -> Result<(BoundTexts<'s>, u64), Error> {
        let column = BoundColumn::bind(segment, &self.plan.column)?;
        let shapes = column.parts.iter().map(|part| vec![None; part.dictionary_len().unwrap_or_default()]);
        let bound = BoundTexts {
            segment,
            shapes: shapes.collect(),
            keys: RowKeys::bind(segment, Wanted::default())?,
            weights: self.weighted.then(|| Weights::bind(segment)).transpose()?,
            column,
        };
        let bytes = bound.column.bytes() + bound.keys.bytes();
        Ok((bound, bytes))
    }

    fn block(&mut self, bound: &mut BoundTexts<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let BoundTexts { segment, column, shapes, keys, weights } = bound;
        let key = segment.header().hash_key;
        // A number is 31 bits of the hash of a trace.
        keys.fill(block.rows, |id| u32::try_from(trace_hash(key, &id) >> 33).unwrap_or_default())?;
        column.fill(block.rows)?;
        let alone: Vec<u32> = block
            .places()
            .filter(|place| keys.traces.get(*place).is_none_or(|number| *number == NO_TRACE))
            .map(|place| block.row(place))
            .collect();
        let ids = if alone.is_empty() { Vec::new() } else { segment.event_ids(&alone)? };
        let mut ids = ids.iter();
        let weights = weights.as_mut().map(|weights| weights.of_block(block)).transpose()?;
        for place in block.places() {
            let cluster = match keys.traces.get(place).copied().unwrap_or(NO_TRACE) {
                NO_TRACE => ids.next().map_or(0, |id| key.hash(id.to_string().as_bytes())),
                // Place and sign are at both ends.
                number => u64::from(number) | u64::from(number) << 33,
            };
            let part = column.part_of.get(place).copied().unwrap_or(MISSING);
            if part == MISSING {
                self.without_text += 1;
                continue;
            }
            let bits = column.bits[place];
            let shape = shape(self.collector, column, shapes, (usize::from(part), bits))?;
            let weight = weights.map_or(1.0, |weights| weights.of(place));
            let time_ns = block.times().get(place).copied().unwrap_or_default();
            self.collector.count(shape, Occurrence { earlier: self.earlier, weight, time_ns, cluster });
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.collector.heap_bytes()
    }
}

/// The shape of a value.
fn shape(
    collector: &mut Collector,
    column: &mut BoundColumn<'_>,
    shapes: &mut [Vec<Option<ShapeId>>],
    (part, bits): (usize, u64),
) -> Result<ShapeId, Error> {
    let slot = shapes.get_mut(part).and_then(|shapes| shapes.get_mut(usize::try_from(bits).ok()?));
    if let Some(Some(shape)) = slot.as_deref() {
        return Ok(*shape);
    }
    let Some(values) = column.parts.get_mut(part) else { return Ok(ShapeId::OTHER) };
    let shape = values.with_value(bits, |value| match value {
        Some(ValueRef::Text(text)) => collector.shape(text),
        Some(value) => collector.shape(&value.canonical_text()),
        None => collector.shape(""),
    })?;
    if let Some(slot) = slot {
        *slot = Some(shape);
    }
    Ok(shape)
}
