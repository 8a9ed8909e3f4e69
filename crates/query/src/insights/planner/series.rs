//! Commands over rows in their order: see [`super::super::series`].

use skein_event::limits::INSIGHTS_BINS_MAX;

use super::super::ast::{At, Command, Earlier, Expression, Kind, Series};
use super::super::datum::Datum;
use super::super::period::{Period, Unit};
use super::super::plan::Stage;
use super::super::program::Node;
use super::super::series::{Running, Whole, bins};
use super::Planner;
use crate::plan::Literal;
use crate::text::{Problem, Span};

/// The groups of an aggregation by time.
#[derive(Clone, Copy, Debug)]
pub(in crate::insights) struct Bins {
    /// The slot of the bin.
    pub(in crate::insights) bin: usize,
    pub(in crate::insights) period: Period,
    /// How many slots are keys.
    pub(in crate::insights) keys: usize,
}

impl Planner<'_> {
    pub(super) fn series(
        &mut self,
        series: &Series,
        next: Option<&Command>,
        at: Span,
    ) -> Result<(), Problem> {
        match series {
            Series::Compare(_) if self.earlier.is_some() => return Ok(()),
            Series::Compare(period) => {
                self.earlier = Some(Earlier::By(*period));
                let message = Expression { kind: Kind::Field(vec!["@message".to_owned()]), at: At(at) };
                return self.pattern(&message, next, at);
            }
            _ => {}
        }
        self.in_order();
        match series {
            Series::Accumulate(field, alias) => {
                let node = self.resolve(field)?;
                let (of, into) = (self.slot(node), self.new_slot());
                self.running(Running::Sum { of, into });
                let name = alias.clone().unwrap_or_else(|| self.written(field));
                self.add_slot(&name, into, at)
            }
            Series::Lag { field, alias, rows } => self.lag(field, alias.as_deref(), *rows, at),
            Series::FillDown(names) => self.fill_down(names, at),
            Series::FillMissing(values) => self.fill_missing(values, at),
            Series::Totals { name, row, column, fields } => {
                let of = if fields.is_empty() {
                    self.shown()?.into_iter().map(|(_, node)| node).collect()
                } else {
                    fields.iter().map(|field| self.resolve(field)).collect::<Result<Vec<_>, _>>()?
                };
                let of = of.into_iter().map(|node| self.slot(node)).collect();
                let into = row.then(|| self.new_slot());
                self.running(Running::Totals { of, into, last: *column });
                // A row of sums is no event.
                self.made_rows |= *column;
                into.map_or(Ok(()), |into| self.add_slot(name.as_deref().unwrap_or("Total"), into, at))
            }
            Series::Outliers { removes, factor, lower, mark, fields } => {
                let of = self.slots(fields)?.into_iter().map(|of| (of, self.new_slot())).collect::<Vec<_>>();
                let mark = mark.then(|| self.new_slot());
                let names: Vec<String> = fields.iter().map(|field| self.written(field)).collect();
                let (factor, lower, removes) = (factor.unwrap_or(2.5), *lower, *removes);
                let whole = Whole::Outliers { of: of.clone(), factor, lower, removes, mark };
                self.stages.push(Stage::Whole(whole));
                for (name, (_, into)) in names.iter().zip(of) {
                    self.add_slot(name, into, at)?;
                }
                mark.map_or(Ok(()), |mark| self.add_slot("isOutlier", mark, at))
            }
            Series::Sessions { fields, gap, alias } => self.sessions(fields, *gap, alias.as_deref(), at),
            Series::Compare(_) => Ok(()),
        }
    }

    fn slots(&mut self, fields: &[Expression]) -> Result<Vec<usize>, Problem> {
        let mut slots = Vec::new();
        for field in fields {
            let node = self.resolve(field)?;
            slots.push(self.slot(node));
        }
        Ok(slots)
    }

    fn lag(
        &mut self,
        field: &Expression,
        alias: Option<&str>,
        rows: Option<(u32, Option<u32>)>,
        at: Span,
    ) -> Result<(), Problem> {
        let node = self.resolve(field)?;
        let of = self.slot(node);
        let (first, last) = rows.unwrap_or((1, None));
        let name = self.written(field);
        let mut into = Vec::new();
        for lag in first..=last.unwrap_or(first) {
            into.push((usize::try_from(lag).unwrap_or(usize::MAX), self.new_slot()));
        }
        if into.is_empty() {
            let problem = Problem::new(at, "the range of rows before ends before it begins");
            return Err(problem.hint("for instance p=1-3"));
        }
        self.running(Running::Lag { of, into: into.clone() });
        for (lag, slot) in into {
            let name = match alias {
                Some(alias) if last.is_none() => alias.to_owned(),
                _ => format!("{}_p{lag}", alias.unwrap_or(&name)),
            };
            self.add_slot(&name, slot, at)?;
        }
        Ok(())
    }

    fn fill_missing(&mut self, values: &[(Literal, Expression)], at: Span) -> Result<(), Problem> {
        let Some(Bins { bin, period, keys }) = self.bins else {
            let problem = Problem::new(at, "`fillmissing` stands behind a `stats … by bin(…)`");
            return Err(
                problem.hint("for instance stats count(*) as n by bin(5m) | fillmissing with 0 for n")
            );
        };
        let range = self.time_range;
        if bins(period, range).len() > INSIGHTS_BINS_MAX {
            let message = format!("the range has more than {INSIGHTS_BINS_MAX} bins of {period}");
            return Err(Problem::new(at, message).hint("take longer bins, or a shorter range"));
        }
        let mut new = Vec::new();
        for (value, field) in values {
            let node = self.resolve(field)?;
            new.push((self.slot(node), Datum::from(value)));
        }
        self.stages.push(Stage::Whole(Whole::FillBins { bin, keys, period, range, values: new }));
        Ok(())
    }

    fn sessions(
        &mut self,
        fields: &[Expression],
        gap: Option<Period>,
        alias: Option<&str>,
        at: Span,
    ) -> Result<(), Problem> {
        if !self.of_events() {
            let problem = Problem::new(at, "`sessionize` is of events, which are gone after an aggregation");
            return Err(problem.hint("use sessionize first, and stats behind it"));
        }
        let gap = gap.unwrap_or(Period { count: 30, unit: Unit::Minute });
        let Some(gap_ns) = gap.fixed_ns() else {
            return Err(Problem::new(at, "maxspan has a fixed length: no months"));
        };
        let (keys, into) = (self.slots(fields)?, self.new_slot());
        self.stages.push(Stage::Whole(Whole::Sessions { keys, gap_ns, into }));
        self.add_slot(alias.unwrap_or("session_id"), into, at)
    }

    /// From here on rows come in an order, and none is taken away before this.
    fn in_order(&mut self) {
        if self.of_events() && !self.ordered {
            self.stages.push(Stage::Sort { keys: Vec::new(), limit: None });
        }
        (self.fixed, self.ordered) = (true, true);
    }

    fn running(&mut self, running: Running) {
        self.stages.push(Stage::Running(running));
    }

    fn add_slot(&mut self, name: &str, slot: usize, at: Span) -> Result<(), Problem> {
        let node = self.slot_node(slot, at)?;
        self.add(name, node);
        Ok(())
    }

    fn fill_down(&mut self, names: &[String], at: Span) -> Result<(), Problem> {
        let shown = self.shown()?;
        let mut of: Vec<(String, Node)> = Vec::new();
        if names.is_empty() {
            of = shown;
        } else {
            for name in names {
                if name.contains('*') {
                    of.extend(shown.iter().filter(|(known, _)| fits(name, known)).cloned());
                } else {
                    let segments = name.split('.').map(str::to_owned).collect();
                    let field = Expression { kind: Kind::Field(segments), at: At(at) };
                    of.push((name.clone(), self.resolve(&field)?));
                }
            }
        }
        let pairs: Vec<(usize, usize)> =
            of.iter().map(|(_, node)| (self.slot(*node), self.new_slot())).collect();
        self.running(Running::FillDown(pairs.clone()));
        for ((name, _), (_, into)) in of.iter().zip(pairs) {
            self.add_slot(name, into, at)?;
        }
        Ok(())
    }
}

/// Whether a name is a pattern's, whose stars stand for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
