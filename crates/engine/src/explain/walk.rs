//! Walks columns of segments on the threads that queries share. One column of one segment is a task; tasks are given out
//! in the order of the snapshot and, within a segment, of the columns, and what a column finds is added in that order
//! whichever task is done first. So sums of doubles come out the same on any number of threads.
//!
//! Rows of the segment after the one at hand are made ready meanwhile: what all of its columns need. A helper leaves
//! between two tasks when another query has come.
//!
//! What it refuses: to hold more than a few segments' rows at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use skein_query::QueryError;
use skein_store::Error;
use skein_store::segment::Segment;

use super::sides::Subject;
use crate::scan::Failure;

/// What all columns of a segment need.
pub(super) struct Ready<R> {
    pub(super) place: usize,
    pub(super) segment: Arc<Segment>,
    pub(super) rows: R,
    /// The columns to walk, by their places.
    columns: Vec<usize>,
    /// Its memory, counted as long as it is held.
    _held: Held,
}

/// A share of a sum of bytes.
struct Held(Arc<AtomicUsize>, usize);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// What is done; the same for all segments.
pub(super) trait Walk: Sync {
    /// What all columns of a segment need.
    type Rows: Send + Sync;
    /// What is gathered for a column.
    type Column: Send;

    /// So many segments are made ready beside the one at hand.
    fn ahead(&self) -> usize {
        1
    }

    /// Gets a segment ready; answers the places of its columns as well, and bytes of memory.
    fn ready(&self, place: usize, segment: &Segment) -> Result<(Self::Rows, Vec<usize>, usize), Error>;

    /// Adds a segment's column; answers the encoded bytes that were read.
    ///
    /// PRE: for one column in the order of the snapshot.
    fn add(&self, number: usize, column: &mut Self::Column, ready: &Ready<Self::Rows>) -> Result<u64, Error>;

    /// Bytes of memory that a column has gathered.
    fn bytes(&self, column: &Self::Column) -> usize;
}

/// What a column has gathered, and its bytes.
struct Gathered<C> {
    column: C,
    bytes: usize,
}

struct State<R> {
    /// The segment to be made ready next, and the one whose columns are given out, by their order among the places.
    next: usize,
    current: usize,
    /// Columns of the current one that were given out.
    given: usize,
    ready: BTreeMap<usize, Arc<Ready<R>>>,
    /// Tasks of each column that were given out, and that are done.
    tickets: Vec<usize>,
    done: Vec<usize>,
    failure: Option<Failure>,
}

enum Task<R> {
    Ready(usize),
    Column(Arc<Ready<R>>, usize, usize),
}

struct Walker<'w, W: Walk> {
    walk: &'w W,
    subject: Subject<'w>,
    places: &'w [usize],
    columns: Vec<Mutex<Gathered<W::Column>>>,
    state: Mutex<State<W::Rows>>,
    changed: Condvar,
    /// Memory of what was gathered and of what is held beside it.
    bytes: Arc<AtomicUsize>,
    bytes_read: AtomicUsize,
    progress: (f64, f64),
}

/// Tells the others when its thread panics.
struct Alarm<'s, 'w, W: Walk>(&'s Walker<'w, W>);

impl<W: Walk> Drop for Alarm<'_, '_, W> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(QueryError::internal("a thread of the query panicked").into());
        }
    }
}

/// Walks the columns of some segments; answers what each has gathered, and the bytes that were read.
pub(super) fn walk<W: Walk>(
    walk: &W,
    subject: Subject<'_>,
    places: &[usize],
    columns: Vec<W::Column>,
    held_bytes: usize,
    progress: (f64, f64),
) -> Result<(Vec<W::Column>, u64), Failure> {
    let gathered = |column: W::Column| {
        let bytes = walk.bytes(&column);
        (Mutex::new(Gathered { column, bytes }), bytes)
    };
    let (columns, bytes): (Vec<_>, Vec<usize>) = columns.into_iter().map(gathered).unzip();
    let state = State {
        next: 0,
        current: 0,
        given: 0,
        ready: BTreeMap::new(),
        tickets: vec![0; columns.len()],
        done: vec![0; columns.len()],
        failure: None,
    };
    let walker = Walker {
        walk,
        subject,
        places,
        columns,
        state: Mutex::new(state),
        changed: Condvar::new(),
        bytes: Arc::new(AtomicUsize::new(held_bytes + bytes.iter().sum::<usize>())),
        bytes_read: AtomicUsize::new(0),
        progress,
    };
    let view = subject.view;
    let rows: u64 = places
        .iter()
        .filter_map(|&place| view.segments.get(place))
        .map(|handle| u64::from(handle.rows()))
        .sum();
    let workers = subject.workers;
    let helpers = if rows <= workers.alone_rows { 0 } else { workers.threads_max.saturating_sub(1) };
    let _busy = workers.enter();
    thread::scope(|scope| {
        for _ in 0..helpers {
            let Some(busy) = workers.help() else { break };
            let walker = &walker;
            scope.spawn(move || {
                let _busy = busy;
                let _alarm = Alarm(walker);
                walker.work(|| workers.is_crowded());
            });
        }
        // Helpers wait for what this thread is at.
        let _alarm = Alarm(&walker);
        walker.work(|| false);
    });
    let Walker { columns, state, bytes_read, .. } = walker;
    match state.into_inner().unwrap_or_else(PoisonError::into_inner).failure {
        Some(failure) => Err(failure),
        None => {
            let column = |gathered: Mutex<Gathered<W::Column>>| {
                gathered.into_inner().unwrap_or_else(PoisonError::into_inner).column
            };
            Ok((columns.into_iter().map(column).collect(), bytes_read.into_inner() as u64))
        }
    }
}

impl<W: Walk> Walker<'_, W> {
    fn lock(&self) -> MutexGuard<'_, State<W::Rows>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
        self.changed.notify_all();
    }

    fn work(&self, leaves: impl Fn() -> bool) {
        while !leaves() {
            let Some(task) = self.take() else { return };
            let done = match task {
                Task::Ready(order) => self.make_ready(order),
                Task::Column(ready, number, ticket) => self.add(&ready, number, ticket),
            };
            if let Err(failure) = done {
                self.fail(failure);
                return;
            }
        }
    }

    /// The next task; `None` when all are given out or something has failed.
    fn take(&self) -> Option<Task<W::Rows>> {
        let mut state = self.lock();
        loop {
            if state.failure.is_some() {
                return None;
            }
            if state.next < self.places.len() && state.next <= state.current + self.walk.ahead() {
                state.next += 1;
                return Some(Task::Ready(state.next - 1));
            }
            let Some(ready) = state.ready.get(&state.current).map(Arc::clone) else {
                if state.current >= self.places.len() {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some(&number) = ready.columns.get(state.given) else {
                let current = state.current;
                state.ready.remove(&current);
                (state.current, state.given) = (current + 1, 0);
                self.tell_progress(current + 1);
                continue;
            };
            state.given += 1;
            let Some(tickets) = state.tickets.get_mut(number) else { continue };
            *tickets += 1;
            return Some(Task::Column(ready, number, *tickets - 1));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
    fn tell_progress(&self, segments: usize) {
        let (from, to) = self.progress;
        let fraction = segments as f64 / self.places.len().max(1) as f64;
        (self.subject.context.progress)(from + (to - from) * fraction);
    }

    fn make_ready(&self, order: usize) -> Result<(), Failure> {
        self.subject.context.check()?;
        let Some(&place) = self.places.get(order) else { return Ok(()) };
        let Some(handle) = self.subject.view.segments.get(place) else { return Ok(()) };
        let failed = |error: Error| Failure::Segment(place, error);
        let segment = handle.open().map_err(failed)?;
        let (rows, columns, bytes) = self.walk.ready(place, &segment).map_err(failed)?;
        let held = Held(Arc::clone(&self.bytes), bytes);
        self.hold(bytes)?;
        let ready = Ready { place, segment, rows, columns, _held: held };
        self.lock().ready.insert(order, Arc::new(ready));
        self.changed.notify_all();
        Ok(())
    }

    fn add(&self, ready: &Ready<W::Rows>, number: usize, ticket: usize) -> Result<(), Failure> {
        self.subject.context.check()?;
        let Some(column) = self.columns.get(number) else { return Ok(()) };
        let mut state = self.lock();
        // Those before were given out before, and wait for nothing that comes after them.
        while state.failure.is_none() && state.done.get(number).is_some_and(|done| *done < ticket) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failure.is_some() {
            return Ok(());
        }
        drop(state);
        let mut gathered = column.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error: Error| Failure::Segment(ready.place, error);
        let read = self.walk.add(number, &mut gathered.column, ready).map_err(failed)?;
        self.bytes_read.fetch_add(usize::try_from(read).unwrap_or_default(), Ordering::Relaxed);
        let bytes = self.walk.bytes(&gathered.column);
        let grown = bytes.saturating_sub(std::mem::replace(&mut gathered.bytes, bytes));
        drop(gathered);
        self.hold(grown)?;
        if let Some(done) = self.lock().done.get_mut(number) {
            *done += 1;
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Counts memory in.
    fn hold(&self, bytes: usize) -> Result<(), Failure> {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        check_memory(self.subject.context.memory_bytes_max, all)
    }
}

/// Fails where an explanation would take more memory than it may.
pub(super) fn check_memory(max: usize, bytes: usize) -> Result<(), Failure> {
    if bytes <= max {
        return Ok(());
    }
    let error = QueryError::limit(format!("the explanation needs more than its {} MiB of memory", max >> 20));
    Err(error.hint("name the columns, or narrow the range of time").into())
}
