//! What a calculation computes of the values of events: the operations of the builder language and what is true of each.

/// What is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Sum of the weights, of all events or of those that have the column.
    Count,
    /// Number of different values by canonical text. Not weighted.
    CountDistinct,
    /// Weighted sum.
    Sum,
    /// Weighted mean.
    Avg,
    /// Smallest. Not weighted.
    Min,
    /// Largest. Not weighted.
    Max,
    /// Weighted percentile.
    Percentile(Percentile),
    /// Weighted histogram, by time.
    Heatmap,
    /// How a mean changed from one bucket of time to the next.
    RateAvg,
    /// How a sum changed.
    RateSum,
    /// How a maximum changed.
    RateMax,
}

/// A percentile in thousandths: P001 is 1, P50 is 500, P999 is 999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Percentile(pub u16);

/// The operations by their names in the builder language, in the order of the documentation.
pub const OPERATIONS: &[(&str, Operation)] = &[
    ("COUNT", Operation::Count),
    ("COUNT_DISTINCT", Operation::CountDistinct),
    ("SUM", Operation::Sum),
    ("AVG", Operation::Avg),
    ("MIN", Operation::Min),
    ("MAX", Operation::Max),
    ("P001", Operation::Percentile(Percentile(1))),
    ("P01", Operation::Percentile(Percentile(10))),
    ("P05", Operation::Percentile(Percentile(50))),
    ("P10", Operation::Percentile(Percentile(100))),
    ("P20", Operation::Percentile(Percentile(200))),
    ("P25", Operation::Percentile(Percentile(250))),
    ("P50", Operation::Percentile(Percentile(500))),
    ("P75", Operation::Percentile(Percentile(750))),
    ("P80", Operation::Percentile(Percentile(800))),
    ("P90", Operation::Percentile(Percentile(900))),
    ("P95", Operation::Percentile(Percentile(950))),
    ("P99", Operation::Percentile(Percentile(990))),
    ("P999", Operation::Percentile(Percentile(999))),
    ("HEATMAP", Operation::Heatmap),
    ("RATE_AVG", Operation::RateAvg),
    ("RATE_SUM", Operation::RateSum),
    ("RATE_MAX", Operation::RateMax),
];

impl Operation {
    /// Its name in the builder language.
    pub fn name(self) -> &'static str {
        OPERATIONS.iter().find(|(_, operation)| *operation == self).map_or("", |(name, _)| name)
    }

    /// What is computed of each bucket of time, where the operation is its change from one to the next.
    pub fn of_interval(self) -> Option<Operation> {
        match self {
            Operation::RateAvg => Some(Operation::Avg),
            Operation::RateSum => Some(Operation::Sum),
            Operation::RateMax => Some(Operation::Max),
            _ => None,
        }
    }

    /// Whether an answer without a series has a number of it: what has one can be ordered by and bounded.
    pub fn has_number(self) -> bool {
        self != Operation::Heatmap && self.of_interval().is_none()
    }

    /// Whether only numbers and wholly numeric text count.
    pub fn is_numeric(self) -> bool {
        !matches!(self, Operation::Count | Operation::CountDistinct)
    }
}
