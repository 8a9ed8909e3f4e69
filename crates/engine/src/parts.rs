//! A scan in parts: segments, and ranges of large ones, are looked at side by side, each part with memory of its own;
//! what they found is gathered in the order of the snapshot. So the same snapshot gives the same sums of doubles, bit
//! by bit, whoever was the first to be done: the parts depend on the segments alone, never on the number of threads.
//!
//! Threads are few and shared: each query has its own, and takes helpers as long as all queries together keep fewer
//! at work than there are processors. A helper leaves between two parts when another query has come.
//!
//! What it refuses: to run far ahead. Parts that wait to be gathered hold memory, so there are few of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use skein_query::QueryError;
use skein_store::segment::Segment;
use skein_store::{Error, SegmentHandle};

use crate::block::Block;
use crate::scan::{BlockError, BlockOrder, Counters, Failure, Scan, Visitor};

/// What is done with each part; the same for all of them.
pub(crate) trait Job: Sync {
    /// What it binds to a segment.
    type Bound<'s>;
    /// What it has found in a part.
    type Part: Send;

    /// Gets ready for a segment; the second number is the encoded bytes that will be read.
    fn bind<'s>(&self, place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error>;

    /// Whether a segment or block with these bounds of time could matter still.
    fn wants(&self, _times: (i64, i64)) -> bool {
        true
    }

    /// In which order blocks are best looked at.
    fn order(&self) -> BlockOrder {
        BlockOrder::Rows
    }

    /// Takes a block.
    fn block(&self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError>;

    /// Bytes of memory that are gathered for a part.
    fn bound_bytes(&self, bound: &Self::Bound<'_>) -> usize;

    /// What was found in a part.
    fn part(&self, bound: Self::Bound<'_>) -> Result<Self::Part, BlockError>;
}

/// Gathers what parts have found.
pub(crate) trait Gather<P> {
    /// Takes a part.
    ///
    /// PRE: parts come in the order of the snapshot, unless the job wants some first.
    fn absorb(&mut self, place: usize, part: P) -> Result<(), BlockError>;

    /// Bytes of memory it holds.
    fn memory_bytes(&self) -> usize;
}

/// A part of a scan: a range of rows of a segment.
struct Piece {
    place: usize,
    rows: Range<u32>,
    /// Whether it is the first, and the last, of its segment.
    first: bool,
    last: bool,
    excluded: bool,
}

/// A part that was looked at.
struct Done<P> {
    part: Option<P>,
    counters: Counters,
    bytes: usize,
}

/// What the threads of a scan share.
struct Shared<P> {
    state: Mutex<State<P>>,
    changed: Condvar,
    /// The scan is over, whatever is left.
    stop: AtomicBool,
    /// Memory of all parts, and of what was gathered.
    bytes: AtomicUsize,
}

struct State<P> {
    /// The next piece that nobody has taken.
    next: usize,
    /// Pieces that were gathered: all before this one.
    gathered: usize,
    done: BTreeMap<usize, Result<Done<P>, Failure>>,
    /// A helper panicked; what it was at will not come.
    lost: bool,
}

impl<P> Shared<P> {
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, state: MutexGuard<'g, State<P>>) -> MutexGuard<'g, State<P>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the others when its thread panics.
struct Alarm<'s, P>(&'s Shared<P>);

impl<P> Drop for Alarm<'_, P> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().lost = true;
            self.0.changed.notify_all();
        }
    }
}

struct PartVisitor<'v, 's, J: Job> {
    job: &'v J,
    bound: J::Bound<'s>,
    stop: &'v AtomicBool,
    all_bytes: &'v AtomicUsize,
    /// Its share of `all_bytes`.
    own_bytes: std::cell::Cell<usize>,
}

impl<J: Job> Visitor for PartVisitor<'_, '_, J> {
    fn wants(&self, times: (i64, i64)) -> bool {
        self.job.wants(times)
    }

    fn block(&mut self, block: &Block<'_>) -> Result<(), BlockError> {
        if self.stop.load(Ordering::Relaxed) {
            // Nobody will look at it.
            return Err(QueryError::cancelled().into());
        }
        self.job.block(&mut self.bound, block)
    }

    fn memory_bytes(&self) -> usize {
        let bytes = self.job.bound_bytes(&self.bound);
        replace_bytes(self.all_bytes, self.own_bytes.replace(bytes), bytes)
    }
}

/// Replaces a share of a sum; answers the sum.
fn replace_bytes(all: &AtomicUsize, old: usize, new: usize) -> usize {
    // Wrapping twice comes out right.
    let change = new.wrapping_sub(old);
    all.fetch_add(change, Ordering::Relaxed).wrapping_add(change)
}

impl Scan<'_> {
    /// Looks at every row that takes part, and gathers what parts have found in the order of the snapshot. `between`
    /// is called after each with what was gathered until then and the fraction of the pass that is done.
    pub(crate) fn run_parts<J: Job, G: Gather<J::Part>>(
        &self,
        job: &J,
        gather: &mut G,
        mut between: impl FnMut(&mut G, &Counters, f64) -> Result<(), Failure>,
    ) -> Result<Counters, Failure> {
        let pieces = self.pieces(job.order());
        let state = State { next: 0, gathered: 0, done: BTreeMap::new(), lost: false };
        let shared = Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
        };
        let rows: u64 = pieces.iter().map(|piece| u64::from(piece.rows.end - piece.rows.start)).sum();
        let helpers = if rows <= self.workers.alone_rows { 0 } else { pieces.len().saturating_sub(1) };
        let _busy = self.workers.enter();
        thread::scope(|scope| {
            for _ in 0..helpers.min(self.workers.threads_max.saturating_sub(1)) {
                let Some(busy) = self.workers.help() else { break };
                let (pieces, shared) = (&pieces, &shared);
                scope.spawn(move || {
                    let _busy = busy;
                    let _alarm = Alarm(shared);
                    self.help(job, pieces, shared);
                });
            }
            let result = self.lead(job, &pieces, &shared, gather, &mut between);
            shared.stop.store(true, Ordering::Relaxed);
            shared.lock().next = pieces.len();
            shared.changed.notify_all();
            result
        })
    }

    /// The parts, in the order of the snapshot, or that in which those come first that are wanted most.
    fn pieces(&self, order: BlockOrder) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (place, handle) in self.view.segments.iter().enumerate() {
            let rows = handle.rows();
            let mut start = 0;
            loop {
                let end = rows.min(start + self.workers.part_rows);
                let excluded = self.excluded.contains(&place);
                let last = end == rows || excluded;
                pieces.push(Piece { place, rows: start..end, first: start == 0, last, excluded });
                if last {
                    break;
                }
                start = end;
            }
        }
        let times = |piece: &Piece| self.view.segments.get(piece.place).map(|handle| handle.time_range());
        match order {
            BlockOrder::Rows => {}
            BlockOrder::Latest => pieces.sort_by_key(|piece| Reverse(times(piece).map(|(_, last)| last))),
            BlockOrder::Earliest => pieces.sort_by_key(|piece| times(piece).map(|(first, _)| first)),
        }
        pieces
    }

    fn window(&self) -> usize {
        2 * self.workers.threads_max + 1
    }

    /// Takes parts until there are no more.
    fn help<J: Job>(&self, job: &J, pieces: &[Piece], shared: &Shared<J::Part>) {
        while !self.workers.is_crowded() {
            let mut state = shared.lock();
            while state.next < pieces.len() && state.next - state.gathered >= self.window() {
                state = shared.wait(state);
            }
            let number = state.next;
            let Some(piece) = pieces.get(number) else { return };
            state.next += 1;
            drop(state);
            let done = self.piece(job, piece, shared);
            shared.lock().done.insert(number, done);
            shared.changed.notify_all();
        }
    }

    /// Gathers what is done, and takes parts meanwhile.
    fn lead<J: Job, G: Gather<J::Part>>(
        &self,
        job: &J,
        pieces: &[Piece],
        shared: &Shared<J::Part>,
        gather: &mut G,
        between: &mut impl FnMut(&mut G, &Counters, f64) -> Result<(), Failure>,
    ) -> Result<Counters, Failure> {
        let mut counters = Counters::default();
        let mut gathered_bytes = 0;
        loop {
            let mut state = shared.lock();
            let number = state.gathered;
            let Some(piece) = pieces.get(number) else { return Ok(counters) };
            if let Some(done) = state.done.remove(&number) {
                drop(state);
                let Done { part, counters: of_part, bytes } = done?;
                counters.join(&of_part);
                let looked_at = part.is_some();
                if let Some(part) = part {
                    gather.absorb(piece.place, part).map_err(|error| error.of_segment(piece.place))?;
                }
                let bytes_now = gather.memory_bytes();
                let all = replace_bytes(
                    &shared.bytes,
                    bytes + std::mem::replace(&mut gathered_bytes, bytes_now),
                    bytes_now,
                );
                self.check_memory(all)?;
                shared.lock().gathered = number + 1;
                shared.changed.notify_all();
                if looked_at {
                    #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
                    between(gather, &counters, (number + 1) as f64 / pieces.len() as f64)?;
                }
            } else if state.lost {
                return Err(QueryError::internal("a thread of the query panicked").into());
            } else if state.next < pieces.len() && state.next - state.gathered < self.window() {
                let own = state.next;
                state.next += 1;
                drop(state);
                if let Some(piece) = pieces.get(own) {
                    let done = self.piece(job, piece, shared);
                    shared.lock().done.insert(own, done);
                }
            } else {
                drop(shared.wait(state));
            }
        }
    }

    fn piece<J: Job>(
        &self,
        job: &J,
        piece: &Piece,
        shared: &Shared<J::Part>,
    ) -> Result<Done<J::Part>, Failure> {
        let mut counters = Counters::default();
        counters.segments.considered += u64::from(piece.last);
        if piece.excluded {
            return Ok(Done { part: None, counters, bytes: 0 });
        }
        self.context.check()?;
        let nothing = |mut counters: Counters| {
            counters.segments.pruned += u64::from(piece.first);
            Ok(Done { part: None, counters, bytes: 0 })
        };
        let Some(handle) = self.view.segments.get(piece.place) else { return nothing(counters) };
        if !job.wants(handle.time_range()) || !self.may_matter(handle) {
            return nothing(counters);
        }
        let segment = open(handle).map_err(|error| Failure::Segment(piece.place, error))?;
        let done = self.of_segment(job, piece, &segment, shared, &mut counters);
        match done.map_err(|error| error.of_segment(piece.place))? {
            None => nothing(counters),
            Some((part, bytes)) => {
                counters.segments.scanned += u64::from(piece.first);
                Ok(Done { part: Some(part), counters, bytes })
            }
        }
    }

    fn of_segment<J: Job>(
        &self,
        job: &J,
        piece: &Piece,
        segment: &Segment,
        shared: &Shared<J::Part>,
        counters: &mut Counters,
    ) -> Result<Option<(J::Part, usize)>, BlockError> {
        let mut once = Counters::default();
        let Some(mut bound) = self.bind(segment, &mut once)? else { return Ok(None) };
        let (bound_job, bytes) = job.bind(piece.place, segment)?;
        if piece.first {
            counters.join(&once);
            counters.bytes_scanned += bytes + bound.filters.bytes();
        }
        let own_bytes = std::cell::Cell::new(0);
        let (stop, all_bytes) = (&shared.stop, &shared.bytes);
        let mut visitor = PartVisitor { job, bound: bound_job, stop, all_bytes, own_bytes };
        self.visit(&mut bound, piece.rows.clone(), job.order(), &mut visitor, counters)?;
        let PartVisitor { bound, own_bytes, .. } = visitor;
        Ok(Some((job.part(bound)?, own_bytes.get())))
    }
}

fn open(handle: &Arc<SegmentHandle>) -> Result<Arc<Segment>, Error> {
    handle.open()
}
