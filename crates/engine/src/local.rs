//! Groups of one part of a scan, by numbers of its own: codes and bits are values until the part is gathered, and no
//! text is read for a row.
//!
//! A value has a number per column, given out as rows show it; 0 is missing. One column's numbers are the groups;
//! those of several are paired, two at a time. What numbers mean beyond the part is decided when it is gathered
//! ([`crate::group`]).

use std::collections::HashMap;
use std::sync::Arc;

use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::column::cells::{Cells, Lane, Shape};
use crate::column::{BoundColumn, MISSING};
use crate::hashing::ByNumber;
use crate::relation::Relations;
use crate::relation::bound::BoundTable;

/// The number of a missing value.
pub(crate) const MISSING_VALUE: u32 = 0;

/// Which slot each row of a block belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slots<'b> {
    /// All of them to one.
    One(u32),
    /// Each place to its own; those that take no part to some.
    Each(&'b [u32]),
}

impl Slots<'_> {
    #[inline]
    pub(crate) fn at(&self, place: usize) -> u32 {
        match self {
            Slots::One(slot) => *slot,
            Slots::Each(slots) => slots.get(place).copied().unwrap_or(crate::aggregate::NO_SLOT),
        }
    }
}

/// The breakdowns bound to one segment.
pub(crate) struct BoundBreakdowns<'a> {
    pub(crate) columns: Vec<LocalColumn<'a>>,
    /// One for each column after the first.
    pairs: Vec<Pairs>,
    /// Groups of the block at hand.
    groups: Vec<u32>,
    one: Option<u32>,
}

/// A column and the numbers of its values.
pub(crate) struct LocalColumn<'a> {
    pub(crate) column: BoundColumn<'a>,
    cells: Cells,
    /// By part and code: the number; [`MISSING_VALUE`] while it has none.
    by_code: Vec<Vec<u32>>,
    /// Of parts without a dictionary.
    by_bits: ByNumber<(u8, u64), u32>,
    last: Option<((u8, u64), u32)>,
    /// Part and bits of number `i + 1`.
    pub(crate) values: Vec<(u8, u64)>,
    ids: Vec<u32>,
}

/// Numbers for pairs of numbers, in the order in which they came.
#[derive(Default)]
struct Pairs {
    /// By the first and the second, while both are small: the number + 1. It grows with them.
    grid: Vec<u32>,
    side: u32,
    others: ByNumber<u64, u32>,
    list: Vec<(u32, u32)>,
}

const GRID_SIDE: u32 = 256;
const GRID_SIDE_FIRST: u32 = 16;

impl Pairs {
    #[inline]
    fn number(&mut self, first: u32, second: u32) -> u32 {
        if first < GRID_SIDE && second < GRID_SIDE {
            if first.max(second) >= self.side {
                self.widen(first.max(second));
            }
            let known = &mut self.grid[(first * self.side + second) as usize];
            if *known == 0 {
                self.list.push((first, second));
                *known = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
            }
            return *known - 1;
        }
        let list = &mut self.list;
        *self.others.entry(u64::from(first) << 32 | u64::from(second)).or_insert_with(|| {
            list.push((first, second));
            u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn widen(&mut self, most: u32) {
        self.side = (most + 1).next_power_of_two().clamp(GRID_SIDE_FIRST, GRID_SIDE);
        self.grid = vec![0; (self.side * self.side) as usize];
        for (number, &(first, second)) in (1_u32..).zip(&self.list) {
            if first < self.side && second < self.side {
                self.grid[(first * self.side + second) as usize] = number;
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        self.grid.capacity() * size_of::<u32>() + self.others.capacity() * 17 + self.list.capacity() * 8
    }
}

impl<'a> LocalColumn<'a> {
    fn new(column: BoundColumn<'a>) -> LocalColumn<'a> {
        let codes = |len: Option<usize>| vec![MISSING_VALUE; len.unwrap_or_default()];
        let by_code = column.parts.iter().map(|part| codes(part.dictionary_len())).collect();
        LocalColumn {
            column,
            cells: Cells::default(),
            by_code,
            by_bits: HashMap::default(),
            last: None,
            values: Vec::new(),
            ids: Vec::new(),
        }
    }

    #[inline]
    fn id_of_code(&mut self, part: u8, code: u32) -> u32 {
        match self.by_code.get_mut(usize::from(part)).and_then(|codes| codes.get_mut(code as usize)) {
            Some(id) if *id != MISSING_VALUE => *id,
            Some(id) => {
                self.values.push((part, u64::from(code)));
                *id = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
                *id
            }
            None => self.id_of_bits(part, u64::from(code)),
        }
    }

    #[inline]
    fn id_of_bits(&mut self, part: u8, bits: u64) -> u32 {
        let key = (part, bits);
        if let Some((last, id)) = self.last
            && last == key
        {
            return id;
        }
        let values = &mut self.values;
        let id = *self.by_bits.entry(key).or_insert_with(|| {
            values.push(key);
            u32::try_from(values.len()).unwrap_or(u32::MAX)
        });
        self.last = Some((key, id));
        id
    }

    fn id(&mut self, part: u8, bits: u64) -> u32 {
        match u32::try_from(bits) {
            Ok(code) => self.id_of_code(part, code),
            Err(_) => self.id_of_bits(part, bits),
        }
    }

    /// The numbers of a block's values: one for all rows, or those in `ids`.
    fn number(&mut self, block: &Block<'_>) -> Result<Option<u32>, Error> {
        let mut cells = std::mem::take(&mut self.cells);
        self.column.cells(block.rows, &mut cells)?;
        let mut ids = std::mem::take(&mut self.ids);
        let one = match cells.shape {
            Shape::Empty => Some(MISSING_VALUE),
            Shape::Constant(part, bits) => Some(self.id(part, bits)),
            Shape::Dense(part) => {
                ids.resize(block.len(), MISSING_VALUE);
                match cells.lane {
                    Lane::Codes => block.mask.for_each(|place| {
                        ids[place] = self.id_of_code(part, cells.codes[place]);
                    }),
                    Lane::Integers => block.mask.for_each(|place| {
                        ids[place] = self.id_of_bits(part, cells.integers[place].cast_unsigned());
                    }),
                    Lane::Doubles => block.mask.for_each(|place| {
                        ids[place] = self.id_of_bits(part, cells.doubles[place].to_bits());
                    }),
                }
                None
            }
            Shape::Sparse(part) => {
                ids.clear();
                ids.resize(block.len(), MISSING_VALUE);
                for (value, place) in cells.places.iter().map(|&place| usize::from(place)).enumerate() {
                    if block.mask.has(place) {
                        ids[place] = match cells.lane {
                            Lane::Codes => self.id_of_code(part, cells.codes[value]),
                            Lane::Integers => self.id_of_bits(part, cells.integers[value].cast_unsigned()),
                            Lane::Doubles => self.id_of_bits(part, cells.doubles[value].to_bits()),
                        };
                    }
                }
                None
            }
            Shape::Mixed => {
                ids.resize(block.len(), MISSING_VALUE);
                block.mask.for_each(|place| {
                    let (part, bits) = (self.column.part_of[place], self.column.bits[place]);
                    ids[place] = if part == MISSING { MISSING_VALUE } else { self.id(part, bits) };
                });
                None
            }
        };
        (self.cells, self.ids) = (cells, ids);
        Ok(one)
    }

    fn heap_bytes(&self) -> usize {
        self.values.capacity() * 16 + self.by_bits.capacity() * 25
    }
}

impl<'a> BoundBreakdowns<'a> {
    /// Binds columns; those of other events to what is `related`.
    pub(crate) fn bind(
        segment: &'a Segment,
        columns: &[Column],
        related: Option<&Arc<Relations>>,
    ) -> Result<BoundBreakdowns<'a>, Error> {
        let bind = |(place, column): (usize, &Column)| {
            let table = related.map(|related| BoundTable::of_breakdown(segment, related, place));
            match table.transpose()?.flatten() {
                Some(table) => Ok(BoundColumn::of_table(segment, table)),
                None => BoundColumn::bind(segment, column),
            }
        };
        let columns: Vec<BoundColumn<'a>> =
            columns.iter().enumerate().map(bind).collect::<Result<_, Error>>()?;
        let pairs = columns.iter().skip(1).map(|_| Pairs::default()).collect();
        let columns = columns.into_iter().map(LocalColumn::new).collect();
        Ok(BoundBreakdowns { columns, pairs, groups: Vec::new(), one: Some(0) })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.columns.iter().map(|column| column.column.bytes()).sum()
    }

    /// Numbers the rows of a block.
    pub(crate) fn number(&mut self, block: &Block<'_>) -> Result<(), Error> {
        let Some((first, others)) = self.columns.split_first_mut() else { return Ok(()) };
        self.one = first.number(block)?;
        std::mem::swap(&mut self.groups, &mut first.ids);
        for (column, pairs) in others.iter_mut().zip(&mut self.pairs) {
            let second = column.number(block)?;
            if let (Some(one), Some(second)) = (self.one, second) {
                self.one = Some(pairs.number(one, second));
                continue;
            }
            self.groups.resize(block.len(), 0);
            let (one, groups, ids) = (self.one.take(), &mut self.groups, &column.ids);
            block.mask.for_each(|place| {
                let first = one.unwrap_or(groups[place]);
                groups[place] = pairs.number(first, second.unwrap_or_else(|| ids[place]));
            });
        }
        Ok(())
    }

    /// The groups of the block that was numbered last.
    pub(crate) fn slots(&self) -> Slots<'_> {
        self.one.map_or(Slots::Each(&self.groups), Slots::One)
    }

    /// Number of groups.
    pub(crate) fn len(&self) -> usize {
        match (self.columns.first(), self.pairs.last()) {
            (None, _) => 1,
            (Some(_), Some(pairs)) => pairs.list.len(),
            // The group of a missing value is always there.
            (Some(column), None) => column.values.len() + 1,
        }
    }

    /// The number of each value of a group, in the order of the columns.
    pub(crate) fn key(&self, group: u32, key: &mut [u32]) {
        let mut number = group;
        for (place, pairs) in self.pairs.iter().enumerate().rev() {
            let (first, second) = pairs.list.get(number as usize).copied().unwrap_or_default();
            if let Some(value) = key.get_mut(place + 1) {
                *value = second;
            }
            number = first;
        }
        if let Some(value) = key.first_mut() {
            *value = number;
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(LocalColumn::heap_bytes).sum();
        columns + self.pairs.iter().map(Pairs::heap_bytes).sum::<usize>()
    }
}
