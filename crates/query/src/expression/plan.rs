//! Tree to program: every name is looked up, every pattern compiled, and what needs no event is computed.
//!
//! A calculated field may refer to others of its question. What it refers to becomes part of its program, once however
//! often it is named; a circle is an error that shows it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use skein_event::limits::{EXPRESSION_DEPTH_MAX, EXPRESSION_STEPS_MAX};

use super::call::{self, Extra, Patterns};
use super::evaluate::evaluate;
use super::functions::Function;
use super::parse::{Expression, Kind};
use super::scalar::Scalar;
use crate::QueryError;
use crate::insights::Code;
use crate::plan::Column;
use crate::text::{Problem, Span};

/// A planned expression: steps in an order in which each needs only those before it. The last is the result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    inputs: Vec<Input>,
    steps: Vec<Step>,
    /// The steps of an expression of Logs Insights, which has functions and rules of its own; then there are no others.
    insights: Option<Arc<Code>>,
}

/// What a program needs to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The value of a stored column.
    Column {
        /// The column; never a calculated one.
        column: Column,
        /// Whether it is asked for more than its presence.
        required: bool,
    },
    /// The event's time in seconds.
    EventTime,
    /// The time of its arrival in seconds.
    IngestTime,
    /// The event's time in nanoseconds.
    EventTimeNs,
    /// The time of its arrival in nanoseconds.
    IngestTimeNs,
    /// The value of a calculation, by its place: of formulas.
    Calculation(usize),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Constant(Scalar),
    /// By place among the inputs.
    Input(usize),
    Call(Call),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Call {
    pub(super) function: Function,
    /// Places of steps.
    pub(super) arguments: Vec<u32>,
    pub(super) extra: Extra,
}

impl Program {
    /// What it needs, each thing once.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The program of an expression of Logs Insights.
    pub(crate) fn of_insights(inputs: Vec<Input>, code: Code) -> Program {
        Program { inputs, steps: Vec::new(), insights: Some(Arc::new(code)) }
    }

    pub(super) fn insights(&self) -> Option<&Code> {
        self.insights.as_deref()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The stored columns it reads.
    pub fn columns(&self) -> impl Iterator<Item = (&Column, bool)> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Column { column, required } => Some((column, *required)),
            _ => None,
        })
    }
}

/// A calculated field, parsed.
#[derive(Clone, PartialEq, Debug)]
pub struct Field {
    /// Its name, by which it is used like a column.
    pub name: Arc<str>,
    /// What it is.
    pub expression: Expression,
    /// Where its text stands in the question, as a JSON pointer.
    pub path: String,
}

/// The calculated fields of a question, planned.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    planned: Vec<(Arc<str>, Arc<Program>)>,
}

impl Fields {
    /// No fields.
    pub const NONE: Fields = Fields { planned: Vec::new() };

    /// Plans fields, each of which may refer to the others. `column` says what a name means that is none of theirs.
    pub fn plan(fields: &[Field], column: &ColumnOf<'_>) -> Result<Fields, QueryError> {
        let mut patterns = Patterns::default();
        let plan = |(place, field): (usize, &Field)| {
            let names = Names { fields, input: column };
            let program = Planner::new(&names, &mut patterns).field(place)?;
            Ok((Arc::clone(&field.name), Arc::new(program)))
        };
        let planned = fields.iter().enumerate().map(plan).collect::<Result<_, QueryError>>()?;
        Ok(Fields { planned })
    }

    /// The program of a field.
    pub fn get(&self, name: &str) -> Option<&Arc<Program>> {
        self.planned.iter().find(|(field, _)| **field == *name).map(|(_, program)| program)
    }
}

/// Says what a name means that is no field: the input, or what is wrong with it.
pub type ColumnOf<'a> = dyn Fn(&str, Span, &str) -> Result<Input, Problem> + 'a;

/// Plans one expression without fields: a formula.
pub fn plan(expression: &Expression, path: &str, input: &ColumnOf<'_>) -> Result<Program, QueryError> {
    let field = Field { name: Arc::from(""), expression: expression.clone(), path: path.to_owned() };
    let names = Names { fields: std::slice::from_ref(&field), input };
    Planner::new(&names, &mut Patterns::default()).field(0)
}

struct Names<'a> {
    fields: &'a [Field],
    input: &'a ColumnOf<'a>,
}

struct Planner<'a> {
    names: &'a Names<'a>,
    patterns: &'a mut Patterns,
    inputs: Vec<Input>,
    steps: Vec<Step>,
    /// The step of each field that is planned already.
    done: HashMap<usize, u32>,
    /// The fields being planned, outermost first.
    open: Vec<usize>,
    depth: usize,
}

impl<'a> Planner<'a> {
    fn new(names: &'a Names<'a>, patterns: &'a mut Patterns) -> Planner<'a> {
        Planner {
            names,
            patterns,
            inputs: Vec::new(),
            steps: Vec::new(),
            done: HashMap::new(),
            open: Vec::new(),
            depth: 0,
        }
    }

    fn field(mut self, place: usize) -> Result<Program, QueryError> {
        let result = self.open_field(place)?;
        Ok(pruned(self.inputs, &self.steps, result))
    }

    fn open_field(&mut self, place: usize) -> Result<u32, QueryError> {
        let Some(field) = self.names.fields.get(place) else {
            return Err(QueryError::internal("a calculated field refers to one that is not there"));
        };
        self.open.push(place);
        let step = self.expression(&field.expression, field, true)?;
        self.open.pop();
        self.done.insert(place, step);
        Ok(step)
    }

    fn push(&mut self, step: Step, span: Span, field: &Field) -> Result<u32, QueryError> {
        if self.steps.len() >= EXPRESSION_STEPS_MAX {
            let message =
                format!("`{}` takes more than {EXPRESSION_STEPS_MAX} steps for an event", field.name);
            let problem = Problem::new(span, message);
            return Err(problem.hint("the fields it refers to count as well").inside(&field.path));
        }
        if let Some(known) = self.steps.iter().position(|known| *known == step) {
            return Ok(u32::try_from(known).unwrap_or(u32::MAX));
        }
        self.steps.push(step);
        Ok(u32::try_from(self.steps.len() - 1).unwrap_or(u32::MAX))
    }

    /// Plans an expression; `required` is false where only its presence is asked for.
    fn expression(&mut self, of: &Expression, field: &Field, required: bool) -> Result<u32, QueryError> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            let message = format!(
                "with the fields it refers to, the expression is nested more than {EXPRESSION_DEPTH_MAX} deep"
            );
            return Err(Problem::new(of.span, message).inside(&field.path));
        }
        let step = match &of.kind {
            Kind::Null => self.push(Step::Constant(Scalar::Null), of.span, field),
            Kind::Literal(literal) => self.push(Step::Constant(Scalar::from(literal)), of.span, field),
            Kind::Column(name) => self.column(name, of.span, field, required),
            Kind::Call { function, at, arguments } => self.call(function, *at, of.span, arguments, field),
        }?;
        self.depth -= 1;
        Ok(step)
    }

    fn column(&mut self, name: &str, span: Span, field: &Field, required: bool) -> Result<u32, QueryError> {
        if let Some(place) = self.names.fields.iter().position(|other| *other.name == *name) {
            if let Some(begin) = self.open.iter().position(|open| *open == place) {
                let circle = self.open[begin..].iter().chain([&place]);
                let circle: Vec<String> = circle
                    .filter_map(|place| self.names.fields.get(*place))
                    .map(|f| f.name.to_string())
                    .collect();
                let message = format!("`{name}` refers to itself: {}", circle.join(" → "));
                let hint = "a calculated field hides a column of its name; give it another one";
                return Err(Problem::new(span, message).hint(hint).inside(&field.path));
            }
            return match self.done.get(&place) {
                Some(step) => Ok(*step),
                None => self.open_field(place),
            };
        }
        let mut input =
            (self.names.input)(name, span, &field.path).map_err(|problem| problem.inside(&field.path))?;
        if let Input::Column { required: asked, .. } = &mut input {
            *asked = required;
        }
        self.input(input, span, field)
    }

    fn input(&mut self, input: Input, span: Span, field: &Field) -> Result<u32, QueryError> {
        let same = |known: &Input| match (known, &input) {
            (Input::Column { column: a, .. }, Input::Column { column: b, .. }) => a.name == b.name,
            (known, input) => known == input,
        };
        let place = match self.inputs.iter().position(same) {
            Some(place) => {
                if let (Some(Input::Column { required, .. }), Input::Column { required: more, .. }) =
                    (self.inputs.get_mut(place), &input)
                {
                    *required |= more;
                }
                place
            }
            None => {
                self.inputs.push(input);
                self.inputs.len() - 1
            }
        };
        self.push(Step::Input(place), span, field)
    }

    fn call(
        &mut self,
        name: &str,
        at: Span,
        span: Span,
        arguments: &[Expression],
        field: &Field,
    ) -> Result<u32, QueryError> {
        let signature = call::signature(name, at).map_err(|problem| problem.inside(&field.path))?;
        call::check_count(signature, at, span, arguments.len())
            .map_err(|problem| problem.inside(&field.path))?;
        let function = signature.function;
        let (extra, arguments) = call::extra(self.patterns, signature, arguments)
            .map_err(|problem| problem.inside(&field.path))?;
        match function {
            Function::EventTimestamp => return self.time(Input::EventTime, at, span, field),
            Function::IngestTimestamp => return self.time(Input::IngestTime, at, span, field),
            _ => {}
        }
        let required = function != Function::Exists;
        let arguments = arguments
            .iter()
            .map(|one| self.expression(one, field, required))
            .collect::<Result<Vec<_>, _>>()?;
        let call = Call { function, arguments, extra };
        let constant = |&step: &u32| matches!(self.steps.get(step as usize), Some(Step::Constant(_)));
        if call.arguments.iter().all(constant) {
            let value = |step: &Step| match step {
                Step::Constant(value) => value.clone(),
                _ => Scalar::Null,
            };
            let done: Vec<Scalar> = self.steps.iter().map(value).collect();
            return self.push(Step::Constant(evaluate(&call, &done)), span, field);
        }
        self.push(Step::Call(call), span, field)
    }

    /// A time of the event, which formulas do not have: they are of groups.
    fn time(&mut self, input: Input, at: Span, span: Span, field: &Field) -> Result<u32, QueryError> {
        if field.name.is_empty() {
            let problem =
                Problem::new(at, "a formula is of groups of events, which have no time of their own");
            return Err(problem.hint("use it in a calculated field").inside(&field.path));
        }
        self.input(input, span, field)
    }
}

/// The program without the steps and inputs that its result does not need.
fn pruned(inputs: Vec<Input>, steps: &[Step], result: u32) -> Program {
    let mut needed = HashSet::from([result]);
    for (place, step) in (0..).zip(steps).collect::<Vec<(u32, _)>>().into_iter().rev() {
        if let (true, Step::Call(call)) = (needed.contains(&place), step) {
            needed.extend(&call.arguments);
        }
    }
    let mut places: HashMap<u32, u32> = HashMap::new();
    let mut kept_inputs: Vec<usize> = Vec::new();
    let mut kept = Vec::new();
    // Steps behind the result are not needed by it: the result stays the last.
    for (place, step) in (0..).zip(steps).filter(|(place, _)| needed.contains(place)) {
        let step = match step {
            Step::Constant(value) => Step::Constant(value.clone()),
            Step::Input(input) => {
                let known = kept_inputs.iter().position(|kept| kept == input);
                Step::Input(known.unwrap_or_else(|| {
                    kept_inputs.push(*input);
                    kept_inputs.len() - 1
                }))
            }
            Step::Call(call) => Step::Call(Call {
                arguments: call.arguments.iter().filter_map(|old| places.get(old)).copied().collect(),
                ..call.clone()
            }),
        };
        places.insert(place, u32::try_from(kept.len()).unwrap_or(u32::MAX));
        kept.push(step);
    }
    let mut inputs: Vec<Option<Input>> = inputs.into_iter().map(Some).collect();
    let inputs =
        kept_inputs.iter().filter_map(|place| inputs.get_mut(*place).and_then(Option::take)).collect();
    Program { inputs, steps: kept, insights: None }
}
