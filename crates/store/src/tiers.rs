//! Which files are merged next: windows of arrival time, 10 minutes, an hour, a day (docs/adr/0017-compaction-tiers.md).
//!
//! A file belongs to the window in which its first event arrived. Arrival never goes back, so a window that has
//! closed gets no more files: what lies in it is merged once, then once more with the rest of its hour, and once
//! more with the rest of its day. That is the bound on how often an event is rewritten, and it holds for late
//! data, too: an old day's events arrive in a window of their own.
//!
//! A file that is large when it is flushed is merged with no other. It is clustered by itself, once. So is a small one that
//! found no company in its hour: it waits so long because most do, and are then rewritten once for both windows. What is
//! left alone in its day is planned a last time, so that it becomes a cold file (docs/adr/0029-cold-files.md) unless it is one.
//!
//! What it refuses: to look at the time of events, to merge a file that is large already, to plan more than one
//! merge may hold in memory.

use std::collections::BTreeMap;

/// What is known of a file of one environment, partition and day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    /// Where the caller has it.
    pub(crate) place: usize,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When its first event arrived.
    pub(crate) ingest_min_ns: i64,
    pub(crate) first_offset: u64,
    /// How many tiers it has passed, as far as this process knows.
    pub(crate) tiers_passed: usize,
}

/// What one merge may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    pub(crate) rows_max: u64,
    pub(crate) bytes_max: u64,
    pub(crate) files_max: usize,
    /// Rows from which on a small file is clustered by itself.
    pub(crate) alone_rows_min: u64,
}

/// Files to merge into one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    /// Places of files in the order of the log; of one that is large and not clustered, it alone.
    pub(crate) members: Vec<usize>,
    /// The tier that calls for it, from 0.
    pub(crate) tier: usize,
}

/// The tier with whose window a small file that is alone in it is clustered.
const ALONE_TIER: usize = 1;

impl Bounds {
    /// A file of more than half of what a merge takes is merged no more: two of them would not fit.
    fn is_small(&self, file: &Candidate) -> bool {
        file.rows.saturating_mul(2) <= self.rows_max && file.bytes.saturating_mul(2) <= self.bytes_max
    }

    /// Whether a merge may take it at all.
    fn fits(&self, file: &Candidate) -> bool {
        file.rows <= self.rows_max && file.bytes <= self.bytes_max
    }
}

/// All merges that the files of one environment, partition and day call for, when windows that end before
/// `closed_ns` have closed. No file is in two of them.
pub(crate) fn plan(files: &[Candidate], tiers_ns: &[i64], bounds: Bounds, closed_ns: i64) -> Vec<Group> {
    let mut small: Vec<Candidate> = files.iter().filter(|file| bounds.is_small(file)).copied().collect();
    small.sort_by_key(|file| (file.ingest_min_ns, file.first_offset, file.place));
    let mut groups = Vec::new();
    // The longest window first: whoever was away for a day rewrites a day's files once.
    for (tier, &length_ns) in tiers_ns.iter().enumerate().rev() {
        let mut windows: BTreeMap<i64, Vec<Candidate>> = BTreeMap::new();
        for file in small.iter().filter(|file| file.tiers_passed <= tier) {
            let (window, end_ns) = end_of_window(file, length_ns.max(1));
            if end_ns <= closed_ns {
                windows.entry(window).or_default().push(*file);
            }
        }
        for window in windows.into_values() {
            // More files than one merge takes pass the shorter windows first, where each counts once.
            if tier > 0 && window.len() > bounds.files_max {
                continue;
            }
            let of_window = cut(&window, bounds);
            let taken: Vec<usize> = of_window.iter().flatten().copied().collect();
            small.retain(|file| !taken.contains(&file.place));
            groups.extend(of_window.into_iter().map(|members| Group { members, tier }));
        }
    }
    // `small` are those that no group took.
    let alone = small.iter().filter(|file| file.rows >= bounds.alone_rows_min);
    groups.extend(alone.filter_map(|file| by_itself(file, ALONE_TIER, tiers_ns, closed_ns)));
    let large = files.iter().filter(|file| !bounds.is_small(file) && bounds.fits(file));
    groups.extend(large.filter_map(|file| by_itself(file, 0, tiers_ns, closed_ns)));
    groups
}

/// A file that is clustered by itself when its window of a tier has closed, unless it has passed one; and that is looked
/// at once more when its last window has closed.
fn by_itself(file: &Candidate, tier: usize, tiers_ns: &[i64], closed_ns: i64) -> Option<Group> {
    let last = tiers_ns.len().saturating_sub(1);
    let has_closed = |tier: usize| {
        let length_ns = tiers_ns.get(tier).or(tiers_ns.last()).copied().unwrap_or(1).max(1);
        end_of_window(file, length_ns).1 <= closed_ns
    };
    let tier = if file.tiers_passed <= last && has_closed(last) {
        Some(last)
    } else {
        Some(tier).filter(|&tier| file.tiers_passed == 0 && has_closed(tier))
    };
    tier.map(|tier| Group { members: vec![file.place], tier })
}

/// The window in which a file's first event arrived, and where it ends.
fn end_of_window(file: &Candidate, length_ns: i64) -> (i64, i64) {
    let window = file.ingest_min_ns.div_euclid(length_ns);
    (window, window.saturating_add(1).saturating_mul(length_ns))
}

/// Cuts a window's files into groups that fit a merge. Each but the last comes out as a file that is merged no
/// more, by rows or by bytes, since its next file did not fit.
fn cut(window: &[Candidate], bounds: Bounds) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let (mut rows, mut bytes) = (0_u64, 0_u64);
    for file in window {
        let (with_rows, with_bytes) = (rows.saturating_add(file.rows), bytes.saturating_add(file.bytes));
        let fits = with_rows <= bounds.rows_max && with_bytes <= bounds.bytes_max;
        match groups.last_mut() {
            Some(group) if fits && group.len() < bounds.files_max => {
                group.push(file.place);
                (rows, bytes) = (with_rows, with_bytes);
            }
            _ => {
                groups.push(vec![file.place]);
                (rows, bytes) = (file.rows, file.bytes);
            }
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

#[cfg(test)]
mod tests {
    use skein_event::limits::{
        COMPACTION_ALONE_ROWS_MIN, COMPACTION_BYTES_MAX, COMPACTION_FILES_MAX, COMPACTION_TIERS_NS,
    };

    use super::*;

    const MINUTE_NS: i64 = 60 * 1_000_000_000;
    const DAY_NS: i64 = 24 * 60 * MINUTE_NS;

    const BOUNDS: Bounds = Bounds { rows_max: 1_000, bytes_max: 100_000, files_max: 64, alone_rows_min: 50 };

    fn file(place: usize, minute: i64, rows: u64) -> Candidate {
        Candidate {
            place,
            rows,
            bytes: rows,
            ingest_min_ns: minute * MINUTE_NS,
            first_offset: place as u64,
            tiers_passed: 0,
        }
    }

    fn planned(files: &[Candidate], closed_minute: i64) -> Vec<(Vec<usize>, usize)> {
        let groups = plan(files, &COMPACTION_TIERS_NS, BOUNDS, closed_minute * MINUTE_NS);
        groups.into_iter().map(|group| (group.members, group.tier)).collect()
    }

    #[test]
    fn only_windows_that_have_closed_are_merged() {
        let files = [file(0, 3, 10), file(1, 7, 10), file(2, 12, 10), file(3, 13, 10)];
        assert_eq!(planned(&files, 9), []);
        assert_eq!(planned(&files, 10), [(vec![0, 1], 0)]);
        assert_eq!(planned(&files, 20), [(vec![0, 1], 0), (vec![2, 3], 0)]);
        assert_eq!(planned(&files, 60), [(vec![0, 1, 2, 3], 1)], "once for the hour, not twice");
        assert_eq!(planned(&files, 24 * 60), [(vec![0, 1, 2, 3], 2)]);
        assert_eq!(planned(&files[..1], 24 * 60), [], "one file needs no merge");
    }

    #[test]
    fn large_files_are_merged_with_no_other_and_groups_fit_a_merge() {
        let files = [file(0, 0, 400), file(1, 1, 400), file(2, 2, 400), file(3, 3, 501), file(4, 4, 100)];
        assert_eq!(planned(&files, 10), [(vec![0, 1], 0), (vec![2, 4], 0), (vec![3], 0)]);
        let mut wide = file(5, 5, 10);
        wide.bytes = 50_001;
        assert_eq!(planned(&[wide, file(6, 6, 10)], 10), [(vec![5], 0)]);
        assert_eq!(planned(&[wide, file(6, 6, 10)], 9), [], "its window has not closed");
        wide.tiers_passed = 1;
        assert_eq!(planned(&[wide], 10), [], "it is clustered already");
        wide.tiers_passed = 0;
        wide.bytes = 100_001;
        assert_eq!(planned(&[wide], 10), [], "more than a merge may hold");
    }

    #[test]
    fn a_small_file_is_clustered_by_itself_when_its_hour_brought_no_other() {
        let alone = [file(0, 5, 100)];
        assert_eq!(planned(&alone, 10), [], "its hour may bring company");
        assert_eq!(planned(&alone, 60), [(vec![0], 1)]);
        assert_eq!(planned(&[file(0, 5, 100), file(1, 45, 100)], 60), [(vec![0, 1], 1)], "rewritten once");
        assert_eq!(planned(&[file(0, 5, 100), file(1, 65, 100)], 24 * 60), [(vec![0, 1], 2)]);
        assert_eq!(planned(&[file(0, 5, 49)], 24 * 60), [], "too little to gain");
        for passed in 1..3 {
            let clustered = Candidate { tiers_passed: passed, ..alone[0] };
            assert_eq!(planned(&[clustered], 23 * 60), [], "it is clustered already");
            assert_eq!(planned(&[clustered], 24 * 60), [(vec![0], 2)], "nothing comes any more");
        }
        assert_eq!(planned(&[Candidate { tiers_passed: 3, ..alone[0] }], 24 * 60), [], "it was looked at");
        // What is left over of a full merge is alone, too.
        let files = [file(0, 0, 450), file(1, 1, 450), file(2, 2, 450)];
        assert_eq!(planned(&files, 60), [(vec![0, 1], 1), (vec![2], 1)]);
    }

    #[test]
    fn what_has_passed_a_tier_does_not_pass_it_again() {
        let mut files = [file(0, 0, 10), file(1, 1, 10)];
        for file in &mut files {
            file.tiers_passed = 2;
        }
        assert_eq!(planned(&files, 60), []);
        assert_eq!(planned(&files, 24 * 60), [(vec![0, 1], 2)]);
    }

    #[test]
    fn too_many_files_for_one_merge_pass_the_short_windows_first() {
        let files: Vec<Candidate> = (0..300).map(|place| file(place, place as i64 / 5, 1)).collect();
        let groups = planned(&files, 24 * 60);
        assert!(groups.iter().all(|(members, tier)| *tier == 0 && members.len() == 50), "{groups:?}");
        assert_eq!(groups.len(), 6);
    }

    struct Stored {
        file: Candidate,
        rewritten: u32,
    }

    /// Days of one partition under a clock that is simulated: a flush a minute, now and then with late data for
    /// three old days, and the plan carried out every minute. Files by day of event time.
    #[derive(Default)]
    struct Days {
        files: BTreeMap<i64, Vec<Stored>>,
        next: usize,
        rewritten_most: u32,
    }

    impl Days {
        fn add(
            &mut self,
            day: i64,
            rows: u64,
            bytes: u64,
            ingest_min_ns: i64,
            passed: usize,
            rewritten: u32,
        ) {
            let file = Candidate {
                place: self.next,
                rows,
                bytes,
                ingest_min_ns,
                first_offset: self.next as u64,
                tiers_passed: passed,
            };
            self.next += 1;
            self.files.entry(day).or_default().push(Stored { file, rewritten });
        }

        fn merge(&mut self, bounds: Bounds, now_ns: i64) {
            for day in self.files.keys().copied().collect::<Vec<_>>() {
                let files: Vec<Candidate> = self.files[&day].iter().map(|stored| stored.file).collect();
                for group in plan(&files, &COMPACTION_TIERS_NS, bounds, now_ns) {
                    let stored = self.files.get_mut(&day).expect("is there");
                    let member = |stored: &mut Stored| group.members.contains(&stored.file.place);
                    let inputs: Vec<Stored> = stored.extract_if(.., member).collect();
                    let rows: u64 = inputs.iter().map(|input| input.file.rows).sum();
                    let first =
                        inputs.iter().map(|input| input.file.ingest_min_ns).min().expect("has members");
                    let rewritten = inputs.iter().map(|input| input.rewritten).max().unwrap_or(0) + 1;
                    assert!(rows <= bounds.rows_max && inputs.len() <= bounds.files_max);
                    self.rewritten_most = self.rewritten_most.max(rewritten);
                    // Merged files are smaller than what they were merged of.
                    self.add(day, rows, rows * 60, first, group.tier + 1, rewritten);
                }
            }
        }
    }

    #[test]
    fn every_event_is_rewritten_at_most_three_times_and_files_stay_few() {
        const ARRIVAL_DAYS: i64 = 10;
        let bounds = Bounds {
            rows_max: 1 << 20,
            bytes_max: COMPACTION_BYTES_MAX,
            files_max: COMPACTION_FILES_MAX,
            alone_rows_min: COMPACTION_ALONE_ROWS_MIN,
        };
        let cases = [
            ("quiet", 3_u64, 1),
            ("busy", 20_000, 1),
            ("full", 700_000, 1),
            ("in bursts", 5_000, 25),
            ("seldom", 5_000, 90),
            ("a day", 5_000, 2_000),
        ];
        for (name, rows_of_flush, every) in cases {
            let mut days = Days::default();
            let mut most = 0;
            for minute in 0..ARRIVAL_DAYS * 24 * 60 {
                let now_ns = 20_000 * DAY_NS + minute * MINUTE_NS;
                let late = [(7, 1), (11, 3), (13, 40)].map(|(every, back)| (minute % every == 0, back));
                let late = late.iter().filter(|(is_due, _)| *is_due).map(|(_, back)| (*back, 5));
                let own = (minute % every == 0).then_some((0, rows_of_flush));
                for (back, rows) in own.into_iter().chain(late) {
                    days.add(now_ns / DAY_NS - back, rows, rows * 80, now_ns - MINUTE_NS, 0, 0);
                }
                days.merge(bounds, now_ns - MINUTE_NS);
                most = most.max(days.files.values().map(Vec::len).sum());
            }
            assert!(days.rewritten_most <= 3, "{name}: {}", days.rewritten_most);
            // Per day of arrival: a file for each late day, one that straddles midnight, and the day's own; and
            // what the last day, hour and ten minutes have not merged yet. A full flush stays a file of its own.
            let own =
                if name == "full" { 24 * 60 } else { rows_of_flush * 24 * 60 / every as u64 / (1 << 19) + 2 };
            let bound = ARRIVAL_DAYS as u64 * (own + 3 * 2 + 1) + 4 * (24 + 6 + 10);
            assert!(most as u64 <= bound, "{name}: {most} files, at most {bound} expected");
        }
    }
}
