//! Tables bound to a segment whose rows are at hand.

use std::sync::Arc;

use skein_query::number::ValueRef;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::BlockReader;
use crate::mask::Mask;
use crate::relation::kept::Kept;
use crate::relation::keys::{RowKeys, Wanted};
use crate::relation::table::Table;
use crate::relation::{Condition, Relations};

/// Conditions on other events.
pub(crate) struct BoundConditions<'a> {
    relations: Arc<Relations>,
    conditions: Vec<Condition>,
    keys: RowKeys<'a>,
}

impl<'a> BoundConditions<'a> {
    /// Those of the query; `None` when it has none and does not ask about roots.
    pub(crate) fn of_query(
        segment: &'a Segment,
        relations: &Arc<Relations>,
    ) -> Result<Option<BoundConditions<'a>>, Error> {
        let conditions = relations.conditions.clone();
        if conditions.is_empty() && relations.roots.is_none() {
            return Ok(None);
        }
        BoundConditions::bind(segment, relations, conditions).map(Some)
    }

    /// Those of a calculation; `None` when it has none.
    pub(crate) fn of_calculation(
        segment: &'a Segment,
        relations: &Arc<Relations>,
        calculation: usize,
    ) -> Result<Option<BoundConditions<'a>>, Error> {
        let conditions = relations.calculations.get(calculation).map(|of| of.conditions.clone());
        let conditions = conditions.filter(|conditions| !conditions.is_empty());
        conditions.map(|conditions| BoundConditions::bind(segment, relations, conditions)).transpose()
    }

    fn bind(
        segment: &'a Segment,
        relations: &Arc<Relations>,
        conditions: Vec<Condition>,
    ) -> Result<BoundConditions<'a>, Error> {
        let mut wanted = Wanted::default();
        for condition in &conditions {
            let Wanted { span, parent } = relations.tables[condition.table].wanted_of_rows();
            wanted = Wanted { span: wanted.span || span, parent: wanted.parent || parent };
        }
        Ok(BoundConditions {
            keys: RowKeys::bind(segment, wanted)?,
            relations: Arc::clone(relations),
            conditions,
        })
    }

    /// Takes out of `mask` the rows that do not pass. Answers how many rows of it have a trace without a root, if
    /// anybody asks about roots.
    pub(crate) fn apply(&mut self, at: &BlockReader<'_>, mask: &mut Mask) -> Result<u64, Error> {
        self.keys.fill(at, |id| self.relations.numbers.find(&id))?;
        let rootless = |roots: usize| {
            let roots = &self.relations.tables[roots];
            // A trace without a number was nowhere come across, neither at a root.
            let is = |row: &usize| self.keys.has_trace(*row) && !roots.has(&self.keys, *row);
            mask.places().filter(is).count() as u64
        };
        let rootless = self.relations.roots.map_or(0, rootless);
        for &Condition { table, negated } in &self.conditions {
            let table = &self.relations.tables[table];
            mask.retain(|row| table.has(&self.keys, row) != negated);
        }
        Ok(rootless)
    }
}

/// A table among those of a query.
#[derive(Clone, Debug)]
pub(crate) struct TableHandle {
    relations: Arc<Relations>,
    table: usize,
}

impl PartialEq for TableHandle {
    fn eq(&self, other: &TableHandle) -> bool {
        Arc::ptr_eq(&self.relations, &other.relations) && self.table == other.table
    }
}

impl Eq for TableHandle {}

impl TableHandle {
    fn table(&self) -> &Table {
        &self.relations.tables[self.table]
    }

    /// Number of its values that are no numbers.
    pub(crate) fn texts(&self) -> usize {
        self.table().texts().len()
    }

    /// Hands out the value behind [`Kept::Other`].
    pub(crate) fn with_text<R>(&self, place: u32, read: impl FnOnce(Option<ValueRef<'_>>) -> R) -> R {
        read(self.table().texts().value(Kept::Other(place)))
    }
}

/// The values of a table at the rows of a segment.
pub(crate) struct BoundTable<'a> {
    handle: TableHandle,
    keys: RowKeys<'a>,
}

impl<'a> BoundTable<'a> {
    /// That of a breakdown, if it has one.
    pub(crate) fn of_breakdown(
        segment: &'a Segment,
        relations: &Arc<Relations>,
        breakdown: usize,
    ) -> Result<Option<BoundTable<'a>>, Error> {
        let table = relations.breakdowns.get(breakdown).copied().flatten();
        table.map(|table| BoundTable::bind(segment, relations, table)).transpose()
    }

    /// That of a calculation's values, if it has one.
    pub(crate) fn of_calculation(
        segment: &'a Segment,
        relations: &Arc<Relations>,
        calculation: usize,
    ) -> Result<Option<BoundTable<'a>>, Error> {
        let table = relations.calculations.get(calculation).and_then(|of| of.values);
        table.map(|table| BoundTable::bind(segment, relations, table)).transpose()
    }

    fn bind(segment: &'a Segment, relations: &Arc<Relations>, table: usize) -> Result<BoundTable<'a>, Error> {
        let keys = RowKeys::bind(segment, relations.tables[table].wanted_of_rows())?;
        Ok(BoundTable { handle: TableHandle { relations: Arc::clone(relations), table }, keys })
    }

    pub(crate) fn handle(&self) -> TableHandle {
        self.handle.clone()
    }

    pub(crate) fn fill(&mut self, at: &BlockReader<'_>) -> Result<(), Error> {
        self.keys.fill(at, |id| self.handle.relations.numbers.find(&id))
    }

    /// The first value at a row of the block.
    pub(crate) fn first(&self, row: usize) -> Option<Kept> {
        self.handle.table().first(&self.keys, row)
    }

    /// Hands out every value at a row of the block.
    pub(crate) fn for_each(&self, row: usize, take: impl FnMut(ValueRef<'_>)) {
        self.handle.table().for_each(&self.keys, row, take);
    }
}
