//! Resolved expressions: a list of steps without names, in which equal ones stand once, and pieces of it that can be run.
//!
//! An [`Arena`] grows while a query is resolved; only resolving makes places in it, so that what is planned has no unknown
//! names. A [`Code`] is the part of it that some results need, in an order in which each step needs only those before it.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::limits::EXPRESSION_STEPS_MAX;

use super::datum::Datum;
use super::functions::{Arguments, Extra, Function};
use super::period::Period;
use crate::error::Location;
use crate::expression::{self, Program, Scalar};
use crate::plan::Column;
use crate::text::{Problem, Span};
use crate::time_text::format_ns;

/// A step by its place.
pub(super) type Node = u32;

/// What a program needs to be told of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The value of a stored column.
    Column(Column),
    /// The event's time.
    EventTime,
    /// The time of its arrival.
    IngestTime,
    /// The value at a place of a row that an earlier stage has made.
    Slot(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Constant(Datum),
    Input(Input),
    Call { function: &'static Function, arguments: Vec<Node>, extra: Extra },
}

impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        match (self, other) {
            (Step::Constant(a), Step::Constant(b)) => a == b,
            // Where a column is named does not matter.
            (Step::Input(Input::Column(a)), Step::Input(Input::Column(b))) => a.name == b.name,
            (Step::Input(a), Step::Input(b)) => a == b,
            (
                Step::Call { function: a, arguments: of_a, extra: extra_a },
                Step::Call { function: b, arguments: of_b, extra: extra_b },
            ) => std::ptr::eq(*a, *b) && of_a == of_b && extra_a == extra_b,
            _ => false,
        }
    }
}

impl Eq for Step {}

/// All steps of a query that rows of one kind have.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena {
    steps: Vec<Step>,
}

impl Arena {
    pub(super) fn step(&self, node: Node) -> Option<&Step> {
        self.steps.get(node as usize)
    }

    pub(super) fn constant(&self, node: Node) -> Option<&Datum> {
        match self.step(node) {
            Some(Step::Constant(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn push(&mut self, step: Step, span: Span) -> Result<Node, Problem> {
        if let Some(known) = self.steps.iter().position(|known| *known == step) {
            return Ok(Node::try_from(known).unwrap_or(Node::MAX));
        }
        if self.steps.len() >= EXPRESSION_STEPS_MAX {
            let message = format!("the query takes more than {EXPRESSION_STEPS_MAX} steps for a row");
            return Err(Problem::new(span, message));
        }
        self.steps.push(step);
        Ok(Node::try_from(self.steps.len() - 1).unwrap_or(Node::MAX))
    }

    /// A call; one of constants is computed now.
    pub(super) fn call(
        &mut self,
        function: &'static Function,
        arguments: Vec<Node>,
        extra: Extra,
        span: Span,
    ) -> Result<Node, Problem> {
        let constants: Option<Vec<Datum>> =
            arguments.iter().map(|one| self.constant(*one).cloned()).collect();
        if let Some(done) = constants {
            let places: Vec<u32> = (0..).take(done.len()).collect();
            let value = (function.run)(&Arguments { places: &places, done: &done, extra: &extra });
            return self.push(Step::Constant(value), span);
        }
        self.push(Step::Call { function, arguments, extra }, span)
    }

    /// Whether a step needs a value that an earlier stage has made.
    pub(super) fn needs_slot(&self, node: Node) -> bool {
        match self.step(node) {
            Some(Step::Input(Input::Slot(_))) => true,
            Some(Step::Call { arguments, .. }) => arguments.iter().any(|one| self.needs_slot(*one)),
            _ => false,
        }
    }

    /// Whether a step is a time wherever it has a value.
    pub(super) fn is_time(&self, node: Node) -> bool {
        match self.step(node) {
            Some(Step::Input(Input::EventTime | Input::IngestTime)) => true,
            Some(Step::Call { function, .. }) => {
                matches!(function.name, "datefloor" | "dateceil" | "fromMillis" | "later")
            }
            _ => false,
        }
    }

    /// The period of a step that is a bin of the event's time.
    pub(super) fn bin_period(&self, node: Node) -> Option<Period> {
        match self.step(node) {
            Some(Step::Call { function, arguments, extra: Extra::Period(period) })
                if function.name == "datefloor" =>
            {
                let of = self.step(*arguments.first()?)?;
                (*of == Step::Input(Input::EventTime)).then_some(*period)
            }
            _ => None,
        }
    }

    /// A step as a column of the plan.
    pub(super) fn column(&self, node: Node, name: &str, span: Span) -> Column {
        if let Some(Step::Input(Input::Column(column))) = self.step(node) {
            return column.clone();
        }
        let code = Code { is_time: self.is_time(node), ..self.code(&[node]) };
        let location = Location::Span { start: span.start, end: span.end };
        Column::calculated(name, code.into_program(), location)
    }

    /// The program of some results.
    pub(super) fn code(&self, results: &[Node]) -> Code {
        let mut code = Code::default();
        let mut places = HashMap::new();
        code.outputs = results.iter().map(|node| self.copy(*node, &mut code, &mut places)).collect();
        code
    }

    fn copy(&self, node: Node, code: &mut Code, places: &mut HashMap<Node, u32>) -> u32 {
        if let Some(place) = places.get(&node) {
            return *place;
        }
        let step = match self.step(node) {
            Some(Step::Call { function, arguments, extra }) => {
                let arguments = arguments.iter().map(|one| self.copy(*one, code, places)).collect();
                CodeStep::Call { function, arguments, extra: extra.clone() }
            }
            Some(Step::Input(input)) => {
                code.inputs.push(input.clone());
                CodeStep::Input(code.inputs.len() - 1)
            }
            Some(Step::Constant(value)) => CodeStep::Constant(value.clone()),
            None => CodeStep::Constant(Datum::Missing),
        };
        code.steps.push(step);
        let place = u32::try_from(code.steps.len() - 1).unwrap_or(u32::MAX);
        places.insert(node, place);
        place
    }
}

/// Steps that can be run for a row.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Code {
    inputs: Vec<Input>,
    steps: Vec<CodeStep>,
    outputs: Vec<u32>,
    /// Whether whoever reads a calculated column of it knows that it is nanoseconds of a time.
    is_time: bool,
}

#[derive(Clone, Debug)]
enum CodeStep {
    Constant(Datum),
    Input(usize),
    Call { function: &'static Function, arguments: Vec<u32>, extra: Extra },
}

impl PartialEq for CodeStep {
    fn eq(&self, other: &CodeStep) -> bool {
        match (self, other) {
            (CodeStep::Constant(a), CodeStep::Constant(b)) => a == b,
            (CodeStep::Input(a), CodeStep::Input(b)) => a == b,
            (
                CodeStep::Call { function: a, arguments: of_a, extra: extra_a },
                CodeStep::Call { function: b, arguments: of_b, extra: extra_b },
            ) => std::ptr::eq(*a, *b) && of_a == of_b && extra_a == extra_b,
            _ => false,
        }
    }
}

impl Eq for CodeStep {}

impl Code {
    /// What it needs, each thing once.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Number of its results.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Computes the results of a row, given the values of its inputs; they are read with [`Code::output`].
    pub fn run(&self, inputs: &[Datum], done: &mut Vec<Datum>) {
        done.clear();
        for step in &self.steps {
            let value = match step {
                CodeStep::Constant(value) => value.clone(),
                CodeStep::Input(place) => inputs.get(*place).cloned().unwrap_or(Datum::Missing),
                CodeStep::Call { function, arguments, extra } => {
                    (function.run)(&Arguments { places: arguments, done, extra })
                }
            };
            done.push(value);
        }
    }

    /// A result of the last run.
    pub fn output<'d>(&self, place: usize, done: &'d [Datum]) -> &'d Datum {
        let step = self.outputs.get(place).and_then(|step| done.get(*step as usize));
        step.unwrap_or(&Datum::Missing)
    }

    /// Computes the results of a row whose inputs are places of it.
    pub(super) fn run_row(&self, row: &[Datum], inputs: &mut Vec<Datum>, done: &mut Vec<Datum>) {
        inputs.clear();
        inputs.extend(self.inputs.iter().map(|input| match input {
            Input::Slot(slot) => row.get(*slot).cloned().unwrap_or(Datum::Missing),
            _ => Datum::Missing,
        }));
        self.run(inputs, done);
    }

    /// The same as a program of a calculated column, of its first result.
    fn into_program(self) -> Arc<Program> {
        let input = |input: &Input| match input {
            // Whatever a field is called, events without it are events without it.
            Input::Column(column) => expression::Input::Column { column: column.clone(), required: false },
            Input::IngestTime => expression::Input::IngestTimeNs,
            Input::EventTime | Input::Slot(_) => expression::Input::EventTimeNs,
        };
        let inputs = self.inputs.iter().map(input).collect();
        Arc::new(Program::of_insights(inputs, self))
    }

    /// Runs it for values of a calculated column's inputs.
    pub(crate) fn evaluate(&self, values: &[Scalar]) -> Scalar {
        let datum = |(value, input): (&Scalar, &Input)| match (value, input) {
            (Scalar::I64(time_ns), Input::EventTime | Input::IngestTime) => Datum::Time(*time_ns),
            (value, _) => Datum::from(value),
        };
        let inputs: Vec<Datum> = values.iter().zip(&self.inputs).map(datum).collect();
        let mut done = Vec::with_capacity(self.steps.len());
        self.run(&inputs, &mut done);
        match self.output(0, &done) {
            Datum::Time(time_ns) if !self.is_time => Scalar::Text(Arc::from(format_ns(*time_ns))),
            other => other.clone().into(),
        }
    }
}
