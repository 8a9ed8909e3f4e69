//! One cause is one finding: statements that say the same or follow are its members, and two that say more together
//! are a pair.
//!
//! How statements meet in the same events is counted for the strongest of them. A statement is the *same* as a stronger
//! one when the two hold of nearly the same events (a correlation of φ); it *follows* when neither where the stronger
//! one holds nor where it does not anything is left of its difference. A pair is reported when it is surely
//! stronger than either half.

use skein_event::limits::{EXPLAIN_OVERLAPS_MAX, EXPLAIN_PAIRED_MAX, EXPLAIN_PAIRS_MAX};
use skein_query::QueryError;
use skein_query::explain::{Condition, Counts, Overlaps, Passes, Tally};

use super::difference::{Difference, Population, cohen_h, margin_of_h};
use super::rates::rates;
use super::{FALSE_DISCOVERY_RATE, Finding, Kinship, Member, Tested, term};

/// From this correlation on two statements are the same cause.
const SAME_PHI: f64 = 0.8;

/// So little is left of a difference that follows from another.
const LEFT_PART: f64 = 0.3;

/// A pair is not worth its words unless Cohen's h of it is larger by so much.
const PAIR_GAIN: f64 = 0.1;

/// A finding in the making.
#[derive(Clone, Debug)]
pub(super) struct Group {
    conditions: Vec<Condition>,
    difference: Difference,
    tally: Tally,
    q: f64,
    members: Vec<(Tested, Kinship)>,
}

impl Group {
    fn of(tested: Tested) -> Group {
        let Tested { condition, difference, tally, q } = tested;
        Group { conditions: vec![condition], difference, tally, q, members: Vec::new() }
    }

    /// Says it in words.
    pub(super) fn finding(self, passes: &mut dyn Passes, counts: &Counts) -> Result<Finding, QueryError> {
        let mut terms = Vec::new();
        let mut difference = self.difference;
        let mut tally = self.tally;
        for condition in &self.conditions {
            let (said, turned) = term(passes, counts, *condition, self.difference)?;
            if self.conditions.len() == 1 {
                if turned.effect.total_cmp(&difference.effect).is_ne() {
                    tally = rest(&counts.total, &tally);
                }
                difference = turned;
            }
            terms.push(said);
        }
        let mut members = Vec::with_capacity(self.members.len());
        for (tested, kind) in self.members {
            let (term, difference) = term(passes, counts, tested.condition, tested.difference)?;
            members.push(Member { term, kind, difference });
        }
        Ok(Finding { terms, difference, tally, q: self.q, members })
    }
}

fn rest(all: &Tally, some: &Tally) -> Tally {
    let mut rest = *all;
    for side in 0..2 {
        rest.rows[side] = rest.rows[side].saturating_sub(some.rows[side]);
        rest.weight[side] -= some.weight[side];
        rest.squares[side] -= some.squares[side];
    }
    rest
}

/// Gathers statements, the strongest first, into findings, the strongest first; says how many pairs were tested.
pub(super) fn gather(
    passes: &mut dyn Passes,
    population: &Population<'_>,
    mut tested: Vec<Tested>,
    tests: usize,
) -> Result<(Vec<Group>, usize), QueryError> {
    tested.truncate(EXPLAIN_OVERLAPS_MAX);
    if tested.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let conditions: Vec<Condition> = tested.iter().map(|tested| tested.condition).collect();
    let overlaps = passes.overlaps(&conditions, &[])?;
    let meeting = Meeting { overlaps: &overlaps, weight: population.weight() };
    // For each finding: the place of its statement.
    let mut leaders: Vec<usize> = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    for (place, statement) in tested.iter().enumerate() {
        let kinship = |leader: &usize| meeting.kinship(&tested[*leader], *leader, statement, place);
        let found = leaders.iter().enumerate().find_map(|(group, leader)| Some((group, kinship(leader)?)));
        match found {
            Some((group, kind)) => groups[group].members.push((statement.clone(), kind)),
            None => {
                leaders.push(place);
                groups.push(Group::of(statement.clone()));
            }
        }
    }
    let (pairs, considered) = meeting.pairs(&tested, &leaders);
    if !pairs.is_empty() {
        let counted = passes.overlaps(&conditions, &pairs)?;
        let differences: Vec<Option<Difference>> =
            counted.pairs.iter().map(|sums| population.difference(sums)).collect();
        let chances: Vec<f64> = differences.iter().map(|d| d.as_ref().map_or(1.0, |d| d.chance)).collect();
        let rates = rates(&chances, tests + considered);
        for (((&(a, b), difference), sums), q) in pairs.iter().zip(differences).zip(&counted.pairs).zip(rates)
        {
            let Some(difference) = difference else { continue };
            let of_leader = |place: usize| leaders.iter().position(|leader| *leader == place);
            let (Some(of_a), Some(of_b)) = (of_leader(a), of_leader(b)) else { continue };
            let stronger = difference.strength > tested[a].difference.size.abs()
                && difference.strength > tested[b].difference.size.abs();
            // A statement is half of one pair at most.
            let free = [of_a, of_b].iter().all(|group| groups[*group].conditions.len() == 1);
            if !stronger || !free || q > FALSE_DISCOVERY_RATE {
                continue;
            }
            let pair = Group {
                conditions: vec![tested[a].condition, tested[b].condition],
                difference,
                tally: sums.tally,
                q,
                members: Vec::new(),
            };
            join(&mut groups, &meeting, &tested, pair, [(of_a, a), (of_b, b)]);
        }
        groups.retain(|group| !group.conditions.is_empty());
    }
    groups.sort_by(|a, b| a.difference.rank(&b.difference).then_with(|| a.conditions.cmp(&b.conditions)));
    Ok((groups, considered))
}

/// Puts a pair into the place of the stronger of its halves; a half that makes no difference without the other
/// becomes a part of it.
fn join(
    groups: &mut Vec<Group>,
    meeting: &Meeting<'_>,
    tested: &[Tested],
    mut pair: Group,
    halves: [(usize, usize); 2],
) {
    let [(_, a), (_, b)] = halves;
    for (group, place) in halves {
        if meeting.follows_from_pair(&tested[place], place, a, b) {
            let half = std::mem::replace(
                &mut groups[group],
                Group { conditions: Vec::new(), members: Vec::new(), ..pair.clone() },
            );
            pair.members.push((tested[place].clone(), Kinship::Part));
            pair.members.extend(half.members);
        }
    }
    groups.push(pair);
}

/// Shares of events that meet statements, alone and together.
struct Meeting<'a> {
    overlaps: &'a Overlaps,
    weight: [f64; 2],
}

impl Meeting<'_> {
    /// The share of each side that meets both.
    fn both(&self, a: usize, b: usize) -> [f64; 2] {
        let both = self.overlaps.both(a, b);
        [both[0] / self.weight[0], both[1] / self.weight[1]].map(|share| share.clamp(0.0, 1.0))
    }

    /// The correlation of two statements where both sides count the same.
    fn phi(&self, a: usize, b: usize) -> f64 {
        let mean = |share: [f64; 2]| (share[0] + share[1]) / 2.0;
        let (of_a, of_b) = (mean(self.both(a, a)), mean(self.both(b, b)));
        let spread = of_a * (1.0 - of_a) * of_b * (1.0 - of_b);
        if spread > 0.0 { (mean(self.both(a, b)) - of_a * of_b) / spread.sqrt() } else { 0.0 }
    }

    /// How a statement belongs to a stronger one, if it does.
    fn kinship(&self, leader: &Tested, of: usize, statement: &Tested, place: usize) -> Option<Kinship> {
        let same_column = leader.condition.column() == statement.condition.column();
        if self.phi(of, place).abs() >= SAME_PHI {
            return Some(Kinship::Same);
        }
        let (all, met, both) = (self.both(of, of), self.both(place, place), self.both(of, place));
        let outside = [0, 1].map(|side| (met[side] - both[side], 1.0 - all[side]));
        let inside = [0, 1].map(|side| (both[side], all[side]));
        let nothing_left = nothing_left(statement, outside) && nothing_left(statement, inside);
        // Neighbouring ranges of a column tell of one change.
        let ranges = matches!(
            (leader.condition, statement.condition),
            (Condition::Range { .. }, Condition::Range { .. })
        );
        (nothing_left || same_column && ranges).then_some(Kinship::Follows)
    }

    fn follows_from_pair(&self, half: &Tested, place: usize, a: usize, b: usize) -> bool {
        let (pair, met) = (self.both(a, b), self.both(place, place));
        nothing_left(half, [0, 1].map(|side| (met[side] - pair[side], 1.0 - pair[side])))
    }

    /// Pairs of leading statements that look stronger than either half, and how many were considered.
    fn pairs(&self, tested: &[Tested], leaders: &[usize]) -> (Vec<(usize, usize)>, usize) {
        let paired: Vec<usize> = leaders.iter().copied().take(EXPLAIN_PAIRED_MAX).collect();
        let mut considered = 0;
        let mut found = Vec::new();
        for (order, &a) in paired.iter().enumerate() {
            for &b in &paired[order + 1..] {
                let raised = |place: usize| tested[place].difference.effect > 0.0;
                if tested[a].condition.column() == tested[b].condition.column() || !raised(a) || !raised(b) {
                    continue;
                }
                considered += 1;
                let size = cohen_h(self.both(a, b));
                let of_halves = tested[a].difference.size.max(tested[b].difference.size);
                if size > of_halves + PAIR_GAIN {
                    found.push((size, (a, b)));
                }
            }
        }
        found.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
        (found.into_iter().take(EXPLAIN_PAIRS_MAX).map(|(_, pair)| pair).collect(), considered)
    }
}

/// Whether of a statement's difference nothing is left among some events: for each side the share that meets it there,
/// and the share that is there.
fn nothing_left(statement: &Tested, of: [(f64, f64); 2]) -> bool {
    if of.iter().any(|(_, there)| *there <= 0.0) {
        return true;
    }
    let share = of.map(|(met, there)| (met / there).clamp(0.0, 1.0));
    let Difference { size, effective, .. } = statement.difference;
    let margin = margin_of_h([effective[0] * of[0].1, effective[1] * of[1].1]);
    cohen_h(share).abs() <= (LEFT_PART * size.abs()).max(margin)
}
