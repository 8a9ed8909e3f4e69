//! The question behind the list of a column's values.

use skein_event::ids::Environment;
use skein_query::error::Location;
use skein_query::plan::{
    Calculation, Column, Filter, FilterSet, GroupPlan, Operation, Output, Plan, Test, TextTest, TimeRange,
};

/// Counts the values of a column that begin with `prefix`, the most frequent first.
pub(crate) fn plan(
    environment: &Environment,
    dataset: Option<&str>,
    column: &str,
    prefix: &str,
    limit: usize,
) -> Plan {
    let location = Location::Path("/column".to_owned());
    let column = Column::stored(column, location);
    let exists = Filter { column: column.clone(), test: Test::Exists };
    let starts = Filter { column: column.clone(), test: Test::Text(TextTest::StartsWith, prefix.to_owned()) };
    let named = |name: &str| skein_query::plan::Named {
        name: name.to_owned(),
        location: Location::Path("/dataset".to_owned()),
    };
    let count = Calculation {
        name: "COUNT".to_owned(),
        operation: Operation::Count,
        column: None,
        filter: None,
        related: Vec::new(),
        derived: None,
    };
    let order = skein_query::plan::Order {
        by: skein_query::plan::OrderBy::Calculation(0),
        direction: skein_query::plan::Direction::Descending,
    };
    Plan {
        environment: environment.clone(),
        datasets: dataset.into_iter().map(named).collect(),
        time_range: TimeRange::ALL,
        filter: FilterSet {
            filters: if prefix.is_empty() { vec![exists] } else { vec![starts] },
            ..FilterSet::default()
        },
        related: Vec::new(),
        trace_slack_ns: 0,
        output: Output::Groups(GroupPlan {
            calculations: vec![count],
            formulas: Vec::new(),
            breakdowns: vec![column],
            orders: vec![order],
            havings: Vec::new(),
            limit,
            granularity_ns: None,
        }),
        compare_offset_ns: None,
        usage_mode: true,
        dry_run: false,
        warnings: Vec::new(),
    }
}
