//! Summaries that are added up: of the parts of a segment while it is looked at, of the segments of a set for listings.
//!
//! Counts add, times widen, sketches merge; so the summary of a compaction's output is that of its inputs, and the
//! summary of a set grows with each flush instead of being made anew.
//!
//! What it refuses: to take anything away.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::batch::{Origin, Physical};
use skein_event::limits::LISTED_COLUMNS_MAX;

use super::sketch::Sketch;
use super::summary::{Bytes, FLAG_FILTER, HEAD_BYTES, Head, NO_NAME, Part, Summary};
use crate::error::Error;
use crate::segment::Zone;
use crate::segment::bytes::count;

/// A summary under construction.
#[derive(Clone, Default, Debug)]
pub struct Merged {
    rows: u64,
    datasets: Vec<MergedDataset>,
    dataset_places: HashMap<Option<Arc<str>>, u32>,
    columns: Vec<MergedColumn>,
    column_places: HashMap<(u64, Origin, Physical), u32>,
    unlisted: u64,
}

/// A dataset of a set of segments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MergedDataset {
    /// Its name; `None` of events without one.
    pub name: Option<Arc<str>>,
    /// Its events.
    pub rows: u64,
    /// Earliest and latest `timestamp`.
    pub times: (i64, i64),
}

/// A column of a set of segments.
#[derive(Clone, PartialEq, Debug)]
pub struct MergedColumn {
    /// The keyed hash of its name.
    hash: u64,
    /// Its name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// How it is stored.
    pub physical: Physical,
    zone: Zone,
    /// Its values by dataset, in order of their places.
    pub cells: Vec<MergedCell>,
}

/// The values of a column in a dataset.
#[derive(Clone, PartialEq, Debug)]
pub struct MergedCell {
    /// The place of the dataset.
    pub dataset: u32,
    /// Events that have a value.
    pub count: u64,
    /// Earliest and latest `timestamp` of theirs.
    pub times: (i64, i64),
    pub(super) sketch: Sketch,
}

/// An estimate under construction: the different values of several cells.
#[derive(Clone, Default, Debug)]
pub struct Distinct(Sketch);

impl Distinct {
    /// Adds the values of a cell.
    pub fn add(&mut self, cell: &MergedCell) {
        self.0.merge_sketch(&cell.sketch);
    }

    /// How many different values there are, about: exact up to 256, then with a standard error of
    /// [`super::STANDARD_ERROR`].
    pub fn estimate(&self) -> u64 {
        self.0.estimate()
    }
}

fn widen(times: &mut (i64, i64), (first, last): (i64, i64)) {
    times.0 = times.0.min(first);
    times.1 = times.1.max(last);
}

fn union(a: Zone, b: Zone) -> Zone {
    match (a, b) {
        (Zone::I64(a, b), Zone::I64(c, d)) => Zone::I64(a.min(c), b.max(d)),
        (Zone::F64 { min, max, nan }, Zone::F64 { min: low, max: high, nan: also }) => {
            Zone::F64 { min: min.min(low), max: max.max(high), nan: nan || also }
        }
        _ => Zone::Unordered,
    }
}

impl Merged {
    /// Events.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The datasets.
    pub fn datasets(&self) -> &[MergedDataset] {
        &self.datasets
    }

    /// The columns.
    pub fn columns(&self) -> &[MergedColumn] {
        &self.columns
    }

    /// Columns that were left out, since there are more than [`LISTED_COLUMNS_MAX`]: their values stay queryable.
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    pub(super) fn add_dataset(&mut self, name: Option<&str>, rows: u64, times: (i64, i64)) -> u32 {
        self.rows += rows;
        let name: Option<Arc<str>> = name.map(Arc::from);
        let place = *self.dataset_places.entry(name).or_insert_with_key(|name| {
            let name = name.clone();
            self.datasets.push(MergedDataset { name, rows: 0, times: (i64::MAX, i64::MIN) });
            count(self.datasets.len() - 1)
        });
        let dataset = &mut self.datasets[place as usize];
        dataset.rows += rows;
        widen(&mut dataset.times, times);
        place
    }

    /// The place of a column; `None` when there are too many.
    pub(super) fn column(
        &mut self,
        hash: u64,
        name: &str,
        origin: Origin,
        physical: Physical,
        zone: Zone,
    ) -> Option<u32> {
        let mut probe = hash;
        loop {
            match self.column_places.get(&(probe, origin, physical)) {
                Some(&place) if &*self.columns[place as usize].name == name => {
                    let column = &mut self.columns[place as usize];
                    column.zone = union(column.zone, zone);
                    return Some(place);
                }
                // Another name of the same hash.
                Some(_) => probe = probe.wrapping_add(1),
                None => break,
            }
        }
        if self.columns.len() >= LISTED_COLUMNS_MAX {
            self.unlisted += 1;
            return None;
        }
        let place = count(self.columns.len());
        self.column_places.insert((probe, origin, physical), place);
        self.columns.push(MergedColumn {
            hash,
            name: name.into(),
            origin,
            physical,
            zone,
            cells: Vec::new(),
        });
        Some(place)
    }

    pub(super) fn cell(&mut self, column: u32, dataset: u32) -> &mut MergedCell {
        let cells = &mut self.columns[column as usize].cells;
        let place = cells.binary_search_by_key(&dataset, |cell| cell.dataset);
        let place = place.unwrap_or_else(|place| {
            let times = (i64::MAX, i64::MIN);
            cells.insert(place, MergedCell { dataset, count: 0, times, sketch: Sketch::default() });
            place
        });
        &mut cells[place]
    }

    /// Sets a cell that is not there yet.
    pub(super) fn set_cell(
        &mut self,
        column: u32,
        dataset: u32,
        rows: u64,
        times: (i64, i64),
        sketch: Sketch,
    ) {
        *self.cell(column, dataset) = MergedCell { dataset, count: rows, times, sketch };
    }

    /// Adds a summary.
    pub fn add(&mut self, summary: &Summary) -> Result<(), Error> {
        let datasets = summary.datasets()?;
        let places: Vec<u32> = datasets
            .iter()
            .map(|dataset| self.add_dataset(dataset.name, dataset.rows, dataset.times))
            .collect();
        for column in summary.columns() {
            let column = column?;
            let cells = summary.cells(column.place)?;
            let place = self.column(column.hash, column.name, column.origin, column.physical, column.zone);
            let Some(place) = place else { continue };
            for found in cells {
                let Some(&dataset) = places.get(found.dataset as usize) else {
                    return Err(Error::damaged("a cell of a summary names a dataset that is not there"));
                };
                let cell = self.cell(place, dataset);
                cell.count += found.count;
                widen(&mut cell.times, found.times);
                if !cell.sketch.merge(found.sketch) {
                    return Err(Error::damaged("a sketch of a summary is not one"));
                }
            }
        }
        Ok(())
    }

    /// Moves all times, as a copy's are ([`crate::copies`]).
    #[cfg(feature = "copies")]
    pub(crate) fn move_times(&mut self, by_ns: i64) {
        let moved = |times: &mut (i64, i64)| {
            *times = (times.0.saturating_add(by_ns), times.1.saturating_add(by_ns));
        };
        self.datasets.iter_mut().for_each(|dataset| moved(&mut dataset.times));
        self.columns.iter_mut().flat_map(|column| &mut column.cells).for_each(|cell| moved(&mut cell.times));
    }

    /// Its bytes; `filter` is that of the trace ids, empty when there are none, `None` when nobody knows.
    pub(super) fn to_bytes(&self, filter: Option<&[u8]>) -> Vec<u8> {
        let mut order: Vec<&MergedColumn> = self.columns.iter().collect();
        let key =
            |column: &&MergedColumn| (column.hash, Arc::clone(&column.name), column.origin, column.physical);
        order.sort_by_key(key);
        let (mut columns, mut datasets, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        let (mut names, mut sketches) = (Vec::new(), Vec::new());
        let mut cell_count = 0_u32;
        for column in order {
            columns.extend_from_slice(&column.hash.to_le_bytes());
            columns.extend_from_slice(&count(names.len()).to_le_bytes());
            columns.extend_from_slice(&u16::try_from(column.name.len()).unwrap_or(u16::MAX).to_le_bytes());
            columns.extend_from_slice(&[column.origin as u8, column.physical as u8]);
            columns.extend_from_slice(&cell_count.to_le_bytes());
            let (kind, nan, low, high) = match column.zone {
                Zone::I64(min, max) => (1, false, min.cast_unsigned(), max.cast_unsigned()),
                Zone::F64 { min, max, nan } => (2, nan, min.to_bits(), max.to_bits()),
                Zone::Code(..) | Zone::Unordered => (0, false, 0, 0),
            };
            columns.extend_from_slice(&[kind, u8::from(nan), 0, 0]);
            columns.extend_from_slice(&low.to_le_bytes());
            columns.extend_from_slice(&high.to_le_bytes());
            columns.extend_from_slice(&[0; 8]);
            names.extend_from_slice(column.name.as_bytes());
            for cell in &column.cells {
                cells.extend_from_slice(&cell.dataset.to_le_bytes());
                cells.extend_from_slice(&[0; 4]);
                cells.extend_from_slice(&cell.count.to_le_bytes());
                cells.extend_from_slice(&cell.times.0.to_le_bytes());
                cells.extend_from_slice(&cell.times.1.to_le_bytes());
                let start = sketches.len();
                cell.sketch.write(&mut sketches);
                cells.extend_from_slice(&count(start).to_le_bytes());
                cells.extend_from_slice(&count(sketches.len() - start).to_le_bytes());
                cell_count += 1;
            }
        }
        for dataset in &self.datasets {
            let length = dataset.name.as_ref().map_or(NO_NAME, |name| count(name.len()));
            datasets.extend_from_slice(&count(names.len()).to_le_bytes());
            datasets.extend_from_slice(&length.to_le_bytes());
            datasets.extend_from_slice(&dataset.rows.to_le_bytes());
            datasets.extend_from_slice(&dataset.times.0.to_le_bytes());
            datasets.extend_from_slice(&dataset.times.1.to_le_bytes());
            names.extend_from_slice(dataset.name.as_deref().unwrap_or_default().as_bytes());
        }
        let mut head = Head {
            columns: count(self.columns.len()),
            datasets: count(self.datasets.len()),
            cells: cell_count,
            names_bytes: count(names.len()),
            sketch_bytes: count(sketches.len()),
            filter_bytes: count(filter.unwrap_or_default().len()),
            rows: self.rows,
            flags: if filter.is_some() { FLAG_FILTER } else { 0 },
            sums: [0; 3],
        };
        let mut out = vec![0; HEAD_BYTES];
        for part in [columns, datasets, names, cells, sketches] {
            out.extend_from_slice(&part);
        }
        out.extend_from_slice(filter.unwrap_or_default());
        for part in [Part::Names, Part::Cells, Part::Filter] {
            head.sums[part as usize] = crc32c::crc32c(&out[head.range(part)]);
        }
        out[..HEAD_BYTES].copy_from_slice(&head.write());
        out
    }

    /// A summary of its bytes.
    pub(crate) fn to_summary(&self, filter: Option<&[u8]>) -> Result<Summary, Error> {
        Summary::open(Bytes::Owned(self.to_bytes(filter).into()))
    }
}
