//! Columns that explain nothing: those that the question itself is about, and those that are different in every
//! event or tell of time.

use std::collections::HashSet;

use skein_event::batch::Origin;
use skein_event::columns::Fixed;

use super::ExplainPlan;
use crate::names::{Reference, references};
use crate::plan::{Column, Filter, Plan};

/// Ids, times, and what says how an event was kept or stored.
const NEVER: [Fixed; 15] = [
    Fixed::TraceId,
    Fixed::SpanId,
    Fixed::ParentId,
    Fixed::LinkTraceId,
    Fixed::LinkSpanId,
    Fixed::TraceState,
    Fixed::SampleRate,
    Fixed::SamplingUnit,
    Fixed::SamplingInclusion,
    Fixed::ObservedTime,
    Fixed::MetricStartTime,
    Fixed::TimeRaw,
    Fixed::EndTimeRaw,
    Fixed::SinceSpanStart,
    Fixed::Overflow,
];

/// Columns of which one follows from another, so that a question about one asks about all.
const KIN: [&[&str]; 3] = [
    &["service.name", "dataset"],
    &["error", "status_code"],
    &["severity", "severity_code", "severity_text"],
];

/// Which columns are left out.
#[derive(Clone, Debug, Default)]
pub struct Excluded {
    references: HashSet<Reference>,
}

impl Excluded {
    /// Those that a plan leaves out.
    pub fn of(plan: &ExplainPlan) -> Excluded {
        let mut excluded = Excluded::default();
        for fixed in NEVER {
            excluded.references.insert(Reference::Fixed(fixed));
        }
        for reference in [Reference::Timestamp, Reference::IngestTime, Reference::EventId, Reference::Event] {
            excluded.references.insert(reference);
        }
        excluded.plan(&plan.selection);
        plan.baseline.iter().for_each(|baseline| excluded.plan(baseline));
        plan.rect.iter().for_each(|rect| excluded.column(&rect.column));
        excluded
    }

    fn plan(&mut self, plan: &Plan) {
        self.filters(&plan.filter.filters);
        plan.related.iter().for_each(|related| self.filters(&related.filters));
    }

    fn filters(&mut self, filters: &[Filter]) {
        filters.iter().for_each(|filter| self.column(&filter.column));
    }

    fn column(&mut self, column: &Column) {
        if let Some(program) = &column.calculated {
            for (column, _) in program.columns() {
                self.column(column);
            }
            return;
        }
        self.references.extend(column.references.iter().cloned());
        for kin in KIN {
            let of_kin = kin.iter().flat_map(|name| references(name));
            if of_kin.clone().any(|reference| column.references.contains(&reference)) {
                self.references.extend(of_kin);
            }
        }
    }

    /// Whether a column of a name is left out.
    pub fn has(&self, name: &str) -> bool {
        let hidden = Fixed::ALL.iter().any(|fixed| fixed.is_hidden() && fixed.name() == name);
        let own = |reference: &Reference| match reference {
            // An attribute of the name may be any origin's.
            Reference::Attribute(name) => {
                self.references.iter().any(|known| matches!(known, Reference::Origin(_, of) if of == name))
            }
            Reference::Origin(Origin::Fixed, _) => true,
            _ => false,
        };
        hidden
            || references(name).iter().any(|reference| self.references.contains(reference) || own(reference))
    }
}
