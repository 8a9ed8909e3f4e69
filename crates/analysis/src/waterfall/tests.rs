//! The analysis by example, and its guarantees on any trace at all.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn names(names: &[&str]) -> Templates {
    Templates::of(names.iter().copied())
}

fn span(id: u64, parent_id: u64, start_ns: i64, duration_ns: i64) -> Span {
    Span { id, parent_id, start_ns, duration_ns, ..Span::default() }
}

/// Ids in the order in which they are drawn, with their depth.
fn drawn(waterfall: &Waterfall) -> Vec<(u64, u32)> {
    waterfall.id.iter().copied().zip(waterfall.depth.iter().copied()).collect()
}

fn path(waterfall: &Waterfall) -> Vec<(u64, i64, i64)> {
    let piece = |piece: &Segment| (waterfall.id[piece.node as usize], piece.start_ns, piece.end_ns);
    waterfall.critical.iter().map(piece).collect()
}

#[test]
fn children_are_drawn_by_time_under_their_parents() {
    let spans = [span(1, 0, 0, 100), span(3, 1, 50, 10), span(2, 1, 10, 30), span(4, 2, 20, 5)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    assert_eq!(drawn(&waterfall), [(1, 0), (2, 1), (4, 2), (3, 1)]);
    assert_eq!(waterfall.size, [4, 2, 1, 1]);
    assert_eq!(waterfall.source, [0, 2, 3, 1], "places among what was given");
    assert_eq!(waterfall.node_of(3), Some(3));
    assert_eq!(waterfall.node_of(9), None);
}

#[test]
fn a_parent_that_nobody_sent_is_drawn_around_its_children() {
    let spans = [span(1, 0, 0, 100), span(2, 9, 10, 30), span(3, 9, 30, 40)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    assert_eq!(drawn(&waterfall), [(1, 0), (9, 0), (2, 1), (3, 1)]);
    assert_eq!(waterfall.flags[1] & flags::MISSING, flags::MISSING);
    assert_eq!((waterfall.start_ns[1], waterfall.duration_ns[1], waterfall.source[1]), (10, 60, NONE));
}

#[test]
fn spans_of_one_id_are_folded_and_counted() {
    let spans = [span(1, 0, 0, 9), span(2, 1, 3, 2), span(2, 1, 4, 2), span(2, 1, 4, 2)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    assert_eq!(waterfall.copies, [1, 3]);
    assert_eq!(waterfall.start_ns[1], 3, "the earliest stands for all");
    assert_eq!(waterfall.flags[1] & flags::DUPLICATE, flags::DUPLICATE);
}

#[test]
fn a_circle_is_cut_at_its_earliest_span() {
    // 3 → 2 → 4 → 3, with 5 hanging on it, and 7 its own parent.
    let spans = [span(2, 4, 1, 1), span(3, 2, 2, 1), span(4, 3, 3, 1), span(5, 4, 4, 1), span(7, 7, 5, 1)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    assert_eq!(drawn(&waterfall), [(2, 0), (3, 1), (4, 2), (5, 3), (7, 0)]);
    let cut: Vec<bool> = waterfall.flags.iter().map(|&flags| flags & flags::CUT != 0).collect();
    assert_eq!(cut, [true, false, false, false, true]);
}

#[test]
fn the_critical_path_goes_by_who_ended_last() {
    // a runs 10–40, b 30–90 beside it, c after b; a was still running when b began, so nobody waited for it.
    let spans =
        [span(1, 0, 0, 100), span(2, 1, 10, 30), span(3, 1, 30, 60), span(4, 3, 35, 20), span(5, 1, 92, 3)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    let expected =
        [(1, 0, 30), (3, 30, 35), (4, 35, 55), (3, 55, 90), (1, 90, 92), (5, 92, 95), (1, 95, 100)];
    assert_eq!(path(&waterfall), expected);
    assert_eq!(waterfall.flags[1] & flags::CRITICAL, 0);
}

#[test]
fn what_a_child_does_after_its_parent_is_not_waited_for() {
    let spans = [span(1, 0, 0, 50), span(2, 1, 40, 100), span(3, 1, 60, 10)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    assert_eq!(path(&waterfall), [(1, 0, 40), (2, 40, 50)]);
}

#[test]
fn gaps_are_where_no_child_runs() {
    let spans = [span(1, 0, 0, 100), span(2, 1, 10, 30), span(3, 1, 20, 10), span(4, 1, 60, 80)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    let gaps: Vec<(u32, i64, i64)> =
        waterfall.gaps.iter().map(|gap| (gap.node, gap.start_ns, gap.end_ns)).collect();
    assert_eq!(gaps, [(0, 0, 10), (0, 40, 60)]);
    assert_eq!(waterfall.self_ns, [30, 30, 10, 80]);
    assert_eq!(waterfall.idle_ns, 30);
}

#[test]
fn a_loop_is_one_repeat_and_its_spans_stand_together() {
    let names = names(&["root", "SELECT item 1", "SELECT item 2", "other"]);
    let mut spans = vec![span(1, 0, 0, 1_000)];
    for n in 0..6_u64 {
        let name = 1 + u32::from(n % 2 == 0);
        spans.push(Span { name, ..span(10 + n, 1, 10 + 100 * n.cast_signed(), 50) });
    }
    spans.push(Span { name: 3, ..span(30, 1, 70, 20) });
    let waterfall = Waterfall::of(&spans, &names);
    let ids: Vec<u64> = waterfall.id.clone();
    assert_eq!(ids, [1, 10, 11, 12, 13, 14, 15, 30], "the other one comes after the loop");
    let repeat = waterfall.repeats[0];
    assert_eq!((repeat.first, repeat.nodes, repeat.members, repeat.errors), (1, 6, 6, 0));
    assert_eq!((repeat.total_ns, repeat.start_ns, repeat.end_ns), (300, 10, 560));
    assert_eq!(repeat.kind, RepeatKind::Repeat);
    assert_eq!(names.texts[repeat.template as usize], "SELECT item #");
    assert_eq!(waterfall.repeats.len(), 1);
}

#[test]
fn attempts_after_failures_are_retries_and_of_connections_reconnects() {
    let names = names(&["root", "POST /charge", "tcp.connect"]);
    let attempt = |id, name, start_ns, error| Span { name, error, ..span(id, 1, start_ns, 10) };
    let spans = [
        span(1, 0, 0, 1_000),
        attempt(2, 1, 10, true),
        attempt(3, 1, 30, true),
        attempt(4, 1, 50, false),
        attempt(5, 2, 100, true),
        attempt(6, 2, 200, false),
    ];
    let kinds = |spans: &[Span]| -> Vec<(RepeatKind, u32)> {
        Waterfall::of(spans, &names).repeats.iter().map(|repeat| (repeat.kind, repeat.members)).collect()
    };
    assert_eq!(kinds(&spans), [(RepeatKind::Retry, 3), (RepeatKind::Reconnect, 2)]);
    let mut succeeded = spans;
    succeeded[2].error = false;
    assert_eq!(kinds(&succeeded), [(RepeatKind::Reconnect, 2)], "who goes on after a success does not retry");
    let mut together = spans;
    together[2].start_ns = 15;
    assert_eq!(kinds(&together), [(RepeatKind::Reconnect, 2)], "attempts follow each other");
}

#[test]
fn names_are_instances_by_their_digits() {
    for (name, expected) in [
        ("GET /item/17", "GET /item/#"),
        ("POST /v1/orders", "POST /v1/orders"),
        ("user 4bf92f3577b34da6", "user #"),
        ("s3.GetObject", "s3.GetObject"),
        ("shard-0012/part_7", "shard-#/part_#"),
        ("", ""),
    ] {
        assert_eq!(template(name), expected);
    }
}

#[test]
fn one_clock_is_moved_as_a_whole_and_told() {
    // The server's clock is 40 behind; both calls say so, each with room for the way.
    let client = |id, start_ns| Span { side: Side::Client, ..span(id, 1, start_ns, 60) };
    let server = |id, parent, start_ns| Span {
        side: Side::Server,
        service: 1,
        clock: 1,
        ..span(id, parent, start_ns, 40)
    };
    let below = Span { service: 1, clock: 1, ..span(6, 4, 75, 10) };
    let spans =
        [span(1, 0, 0, 300), client(2, 100), client(3, 200), server(4, 2, 70), below, server(5, 3, 166)];
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    let shift = |id| waterfall.shift_ns[waterfall.node_of(id).unwrap() as usize];
    // From the first call: 30 to 50; from the second: 34 to 54.
    assert_eq!([1, 2, 3, 4, 5, 6].map(shift), [0, 0, 0, 42, 42, 42]);
    assert_eq!(waterfall.skews, [Skew { service: 1, spans: 3, shift_min_ns: 42, shift_max_ns: 42 }]);
    let shown = waterfall.start_ns[waterfall.node_of(6).unwrap() as usize];
    assert_eq!(shown, 75 + 42, "what is drawn is moved, what is stored is not");
}

#[test]
fn what_may_be_true_is_not_corrected() {
    let client = Span { side: Side::Client, ..span(2, 1, 100, 60) };
    let server = Span { side: Side::Server, clock: 1, ..span(3, 2, 90, 500) };
    let late = Span { start_ns: 150, ..server };
    let waterfall = |client, server| Waterfall::of(&[span(1, 0, 0, 300), client, server], &names(&["n"]));
    assert_eq!(waterfall(client, late).skews, [], "longer than the call: nobody waited for it");
    let timed_out = Span { error: true, ..client };
    assert_eq!(waterfall(timed_out, Span { duration_ns: 50, ..late }).skews, [], "the client gave up");
    let moved = waterfall(client, server);
    assert_eq!(moved.skews[0].shift_min_ns, 10, "no effect before its cause");
    let same = Span { clock: 0, ..server };
    assert_eq!(waterfall(client, same).skews, [], "one clock cannot disagree with itself");
}

#[test]
fn nothing_recurses() {
    let spans: Vec<Span> = (1..=200_000_u64).map(|id| span(id, id - 1, id.cast_signed(), 1)).collect();
    let waterfall = Waterfall::of(&spans, &names(&["n"]));
    assert_eq!(waterfall.depth.last(), Some(&199_999));
    assert_eq!(waterfall.size[0], 200_000);
}

#[test]
fn absurd_times_are_drawn_without_overflow() {
    let spans = [
        span(1, 0, i64::MIN, i64::MAX),
        Span { clock: 1, ..span(2, 1, i64::MAX, i64::MAX) },
        Span { side: Side::Client, ..span(3, 2, i64::MIN, i64::MAX) },
        Span { clock: 2, side: Side::Server, ..span(4, 3, i64::MAX, -5) },
    ];
    assert_eq!(Waterfall::of(&spans, &names(&["n"])).len(), 4);
}

// === any trace at all ===

fn any_span() -> impl Strategy<Value = Span> {
    let side = prop_oneof![Just(Side::Other), Just(Side::Client), Just(Side::Server)];
    let numbers = (1..30_u64, 0..34_u64, 0..400_i64, 0..200_i64);
    (numbers, 0..4_u32, 0..3_u32, side, any::<bool>()).prop_map(
        |((id, parent_id, start_ns, duration_ns), name, clock, side, error)| Span {
            id,
            parent_id,
            start_ns,
            duration_ns,
            name,
            service: clock,
            clock,
            side,
            error,
        },
    )
}

fn any_trace() -> impl Strategy<Value = Vec<Span>> {
    proptest::collection::vec(any_span(), 0..40)
}

fn analysed(spans: &[Span]) -> Waterfall {
    Waterfall::of(spans, &names(&["a", "b 1", "b 2", "connect"]))
}

fn interval(waterfall: &Waterfall, node: u32) -> (i64, i64) {
    (waterfall.start_ns[node as usize], waterfall.end_ns(node as usize))
}

/// How many of the nanoseconds somewhere in these intervals, counted one by one.
fn counted(intervals: impl Iterator<Item = (i64, i64)>) -> i64 {
    let all: BTreeSet<i64> = intervals.flat_map(|(start, end)| start..end).collect();
    i64::try_from(all.len()).unwrap()
}

proptest! {
    #[test]
    fn every_span_is_drawn_once_whatever_their_parents(spans in any_trace()) {
        let waterfall = analysed(&spans);
        let ids: BTreeSet<u64> = spans.iter().map(|span| span.id).collect();
        let missing: BTreeSet<u64> =
            spans.iter().map(|span| span.parent_id).filter(|id| *id != 0 && !ids.contains(id)).collect();
        let mut nodes = waterfall.id.clone();
        nodes.sort_unstable();
        // A later copy's parent is not drawn: the first stands for all.
        prop_assert!(nodes.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(nodes.iter().all(|id| ids.contains(id) || missing.contains(id)));
        prop_assert!(ids.iter().all(|id| waterfall.node_of(*id).is_some()));
        let copies: u32 = waterfall.copies.iter().sum();
        prop_assert_eq!(copies as usize, spans.len());
        for node in 0..waterfall.len() {
            let parent = waterfall.parent[node] as usize;
            let below = u32::try_from(node).unwrap();
            match waterfall.parent[node] {
                NONE => prop_assert_eq!(waterfall.depth[node], 0),
                _ => {
                    prop_assert!(parent < node && node < parent + waterfall.size[parent] as usize);
                    prop_assert_eq!(waterfall.depth[node], waterfall.depth[parent] + 1);
                }
            }
            let sizes: u32 = waterfall.children(below).map(|child| waterfall.size[child as usize]).sum();
            prop_assert_eq!(waterfall.size[node], sizes + 1);
        }
    }

    #[test]
    fn the_critical_path_covers_the_main_root_exactly(spans in any_trace()) {
        let waterfall = analysed(&spans);
        if waterfall.is_empty() {
            return Ok(());
        }
        let (start, end) = interval(&waterfall, waterfall.main_root);
        let mut reached = start;
        for piece in &waterfall.critical {
            prop_assert_eq!(piece.start_ns, reached);
            prop_assert!(piece.end_ns > piece.start_ns);
            let (from, to) = interval(&waterfall, piece.node);
            prop_assert!(from <= piece.start_ns && piece.end_ns <= to);
            // Its own work: none of its children on the path at that time.
            prop_assert!(waterfall.flags[piece.node as usize] & flags::CRITICAL != 0);
            reached = piece.end_ns;
        }
        prop_assert_eq!(reached, end);
    }

    #[test]
    fn own_and_idle_time_are_as_counted_by_hand(spans in any_trace()) {
        let waterfall = analysed(&spans);
        for node in 0..u32::try_from(waterfall.len()).unwrap() {
            let (start, end) = interval(&waterfall, node);
            let inside = |(from, to): (i64, i64)| (from.max(start), to.min(end));
            let children = waterfall.children(node).map(|child| inside(interval(&waterfall, child)));
            let own = end - start - counted(children);
            prop_assert_eq!(waterfall.self_ns[node as usize], own);
            if waterfall.size[node as usize] > 1 {
                let gaps = waterfall.gaps.iter().filter(|gap| gap.node == node);
                prop_assert_eq!(gaps.map(|gap| gap.end_ns - gap.start_ns).sum::<i64>(), own);
            }
        }
        let nodes = || 0..u32::try_from(waterfall.len()).unwrap();
        let leaves = nodes().filter(|&node| waterfall.size[node as usize] == 1);
        let idle = counted(nodes().map(|node| interval(&waterfall, node)))
            - counted(leaves.map(|node| interval(&waterfall, node)));
        prop_assert_eq!(waterfall.idle_ns, idle);
    }

    #[test]
    fn clocks_are_corrected_only_against_each_other(spans in any_trace()) {
        let waterfall = analysed(&spans);
        let mut moved: BTreeMap<u32, u32> = BTreeMap::new();
        for node in 0..waterfall.len() {
            let Some(span) = spans.get(waterfall.source[node] as usize) else {
                prop_assert_eq!(waterfall.shift_ns[node], 0);
                continue;
            };
            prop_assert_eq!(waterfall.start_ns[node] - waterfall.shift_ns[node], span.start_ns);
            prop_assert_eq!(waterfall.duration_ns[node], span.duration_ns);
            prop_assert_eq!(waterfall.shift_ns[node] != 0, waterfall.flags[node] & flags::SHIFTED != 0);
            *moved.entry(span.service).or_default() += u32::from(waterfall.shift_ns[node] != 0);
            let parent = waterfall.parent[node] as usize;
            let above = waterfall.source.get(parent).and_then(|&row| spans.get(row as usize));
            let Some(above) = above else {
                prop_assert_eq!(waterfall.shift_ns[node], 0);
                continue;
            };
            if above.clock == span.clock {
                prop_assert_eq!(waterfall.shift_ns[node], waterfall.shift_ns[parent]);
            } else if above.side == Side::Client && span.side == Side::Server && !above.error
                && above.duration_ns >= span.duration_ns
            {
                let (from, to) = interval(&waterfall, u32::try_from(node).unwrap());
                let (start, end) = interval(&waterfall, u32::try_from(parent).unwrap());
                prop_assert!(start <= from && to <= end, "within the parent's interval");
            } else {
                prop_assert!(waterfall.start_ns[node] >= waterfall.start_ns[parent]);
            }
        }
        let told: BTreeMap<u32, u32> = waterfall.skews.iter().map(|skew| (skew.service, skew.spans)).collect();
        moved.retain(|_, spans| *spans > 0);
        prop_assert_eq!(told, moved);
    }

    #[test]
    fn clocks_that_agree_are_left_alone(mut spans in any_trace()) {
        for span in &mut spans {
            span.clock = 0;
        }
        prop_assert!(analysed(&spans).shift_ns.iter().all(|&shift| shift == 0));
    }

    #[test]
    fn repeated_work_stands_together(spans in any_trace()) {
        let waterfall = analysed(&spans);
        for repeat in &waterfall.repeats {
            let parent = waterfall.parent[repeat.first as usize];
            let members: Vec<u32> = waterfall
                .children(parent)
                .filter(|child| (repeat.first..repeat.first + repeat.nodes).contains(child))
                .collect();
            prop_assert_eq!(members.len(), repeat.members as usize);
            prop_assert!(members.len() >= 5 || repeat.kind != RepeatKind::Repeat);
            let sizes: u32 = members.iter().map(|&child| waterfall.size[child as usize]).sum();
            prop_assert_eq!(sizes, repeat.nodes);
            let of = |member: &u32| spans[waterfall.source[*member as usize] as usize];
            let total: i64 = members.iter().map(|member| of(member).duration_ns).sum();
            prop_assert_eq!(repeat.total_ns, total);
            let errors = members.iter().filter(|member| of(member).error).count();
            prop_assert_eq!(errors, repeat.errors as usize);
            prop_assert!(members.iter().all(|member| of(member).service == of(&repeat.first).service));
        }
    }

    #[test]
    fn the_order_in_which_spans_arrive_changes_nothing(spans in any_trace()) {
        // Of distinct ids and times: which of equal ones is first is told by the order alone.
        let mut distinct: Vec<Span> = Vec::new();
        for (span, start_ns) in spans.into_iter().zip(0..) {
            if distinct.iter().all(|known| known.id != span.id) {
                distinct.push(Span { start_ns: start_ns * 7, ..span });
            }
        }
        let forwards = analysed(&distinct);
        distinct.reverse();
        let mut backwards = analysed(&distinct);
        for source in backwards.source.iter_mut().filter(|source| **source != NONE) {
            *source = u32::try_from(distinct.len()).unwrap() - 1 - *source;
        }
        prop_assert_eq!(forwards, backwards);
    }
}
