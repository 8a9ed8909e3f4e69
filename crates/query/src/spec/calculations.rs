//! Calculations, and what refers to them: orders and havings.

use super::node::{Node, Object, shortened};
use super::{column, limits, over_time, relational};
use crate::error::QueryError;
use crate::plan::{
    Calculation, Comparison, Direction, GroupPlan, Having, HavingOperator, OPERATIONS, Operation, Order,
    OrderBy,
};

/// Operations that the language knows and this version does not answer.
const LATER: &[&str] = &["COUNT_DATAPOINTS", "HISTOGRAM_COUNT"];

/// Fields that only PER_TRACE and INTERVAL have.
const DERIVED_FIELDS: &[&str] = &["inner", "outer", "from", "to", "by"];

const FIELDS: &[&str] =
    &["op", "column", "name", "filters", "filter_combination", "inner", "outer", "from", "to", "by"];

/// Reads `calculations`; without any, the plan counts.
pub(super) fn calculations(object: &Object<'_>) -> Result<Vec<Calculation>, QueryError> {
    let mut found: Vec<Calculation> = Vec::new();
    if let Some(node) = object.get("calculations") {
        for node in node.array(limits::CALCULATIONS_MAX)? {
            let calculation = calculation(&node)?;
            if found.iter().any(|other| other.name == calculation.name) {
                let error = node.error(format!("two calculations are called `{}`", calculation.name));
                return Err(error.hint("give one of them a `name`"));
            }
            found.push(calculation);
        }
    }
    if found.is_empty() {
        let count = Operation::Count;
        found.push(Calculation {
            name: count.name().to_owned(),
            operation: count,
            column: None,
            filter: None,
            related: Vec::new(),
            derived: None,
        });
    }
    Ok(found)
}

fn calculation(node: &Node<'_>) -> Result<Calculation, QueryError> {
    let object = node.object(FIELDS)?;
    let operation = object.required("op")?.text()?;
    if relational::is_derived(operation) {
        return relational::derived(&object, operation);
    }
    if let Some(operation) = over_time::name_of(operation) {
        return over_time::calculation(&object, operation);
    }
    let calculation = of_events(&object)?;
    let filtered = calculation.filter.is_some() || !calculation.related.is_empty();
    if filtered && object.get("name").is_none() {
        let error = object.error("a calculation with filters needs a `name`");
        return Err(error.hint("its key in the answer would not tell it from the one without filters"));
    }
    Ok(calculation)
}

/// Reads what is computed of each trace; it needs no name.
pub(super) fn inner(node: &Node<'_>) -> Result<Calculation, QueryError> {
    let object = node.object(FIELDS)?;
    let operation = object.required("op")?.text()?;
    if relational::is_derived(operation) {
        return relational::derived(&object, operation);
    }
    if let Some(operation) = over_time::name_of(operation) {
        return over_time::calculation(&object, operation);
    }
    of_events(&object)
}

fn of_events(object: &Object<'_>) -> Result<Calculation, QueryError> {
    let operation = operation(&object.required("op")?)?;
    if let Some(node) = DERIVED_FIELDS.iter().find_map(|name| object.get(name)) {
        return Err(node.error("this field belongs to PER_TRACE and INTERVAL"));
    }
    let column = object.get("column").map(|node| column(&node)).transpose()?;
    let column = column.map(relational::with_value).transpose()?;
    if column.is_none() && operation != Operation::Count {
        return Err(object.error(format!("{} needs a `column`", operation.name())));
    }
    let conditions = relational::conditions(object)?;
    let filter = Some(conditions.own).filter(|set| !set.filters.is_empty());
    let name = match (object.get("name").map(|node| node.text()).transpose()?, &column) {
        (Some(name), _) => name.to_owned(),
        (None, Some(column)) => format!("{}({})", operation.name(), column.name),
        (None, None) => operation.name().to_owned(),
    };
    Ok(Calculation { name, operation, column, filter, related: conditions.related, derived: None })
}

fn operation(node: &Node<'_>) -> Result<Operation, QueryError> {
    let text = node.text()?;
    if LATER.iter().any(|later| later.eq_ignore_ascii_case(text)) {
        let error = node.error(format!("`{}` is not supported by this version", shortened(text)));
        let known: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        return Err(error.hint(format!("the operations of this version are {}", known.join(", "))));
    }
    node.word(OPERATIONS)
}

/// Reads `order` of an order; ascending unless stated, as in the builder language.
pub(super) fn direction(order: &Object<'_>) -> Result<Direction, QueryError> {
    const WORDS: &[(&str, Direction)] =
        &[("ascending", Direction::Ascending), ("descending", Direction::Descending)];
    order.get("order").map_or(Ok(Direction::Ascending), |node| node.word(WORDS))
}

/// Reads `orders`. Without any, the first calculation that has an order decides, largest first.
pub(super) fn orders(object: &Object<'_>, plan: &GroupPlan) -> Result<Vec<Order>, QueryError> {
    let nodes = object.get("orders").map_or(Ok(Vec::new()), |node| node.array(limits::ORDERS_MAX))?;
    if nodes.is_empty() {
        let is_number =
            |place: &usize| plan.calculations.get(*place).is_none_or(|c| c.operation.has_number());
        let all = 0..plan.calculations.len() + plan.formulas.len();
        let first = all.filter(|place| plan.is_shown(*place)).find(is_number);
        let order = |place| Order { by: OrderBy::Calculation(place), direction: Direction::Descending };
        return Ok(first.map(order).into_iter().collect());
    }
    nodes.iter().map(|node| order(node, plan)).collect()
}

fn order(node: &Node<'_>, plan: &GroupPlan) -> Result<Order, QueryError> {
    let breakdowns = &plan.breakdowns;
    let object = node.object(&["op", "column", "name", "order"])?;
    let direction = direction(&object)?;
    let (op, name) = (object.get("op"), object.get("name"));
    if op.is_none() && name.is_none() {
        let column = object.required("column")?;
        let wanted = column.text()?;
        if let Some(place) = breakdowns.iter().position(|breakdown| *breakdown.name == *wanted) {
            return Ok(Order { by: OrderBy::Breakdown(place), direction });
        }
        // A calculation's key, as it stands in the answer, is understood too.
        let Some(place) = plan.place_of(wanted) else {
            let error = column.error(format!("`{}` is no breakdown of this query", shortened(wanted)));
            let known = breakdowns.iter().map(|breakdown| breakdown.name.to_string()).collect();
            return Err(error.candidates(known).hint("an order by a calculation needs its `op`"));
        };
        return Ok(Order { by: OrderBy::Calculation(orderable(node, plan, place)?), direction });
    }
    let place = referred(node, &object, "op", plan)?;
    Ok(Order { by: OrderBy::Calculation(orderable(node, plan, place)?), direction })
}

/// Reads `havings`.
pub(super) fn havings(object: &Object<'_>, plan: &GroupPlan) -> Result<Vec<Having>, QueryError> {
    const OPERATORS: &[(&str, HavingOperator)] = &[
        ("=", HavingOperator::Equal),
        ("!=", HavingOperator::NotEqual),
        (">", HavingOperator::Compare(Comparison::Greater)),
        (">=", HavingOperator::Compare(Comparison::GreaterOrEqual)),
        ("<", HavingOperator::Compare(Comparison::Less)),
        ("<=", HavingOperator::Compare(Comparison::LessOrEqual)),
    ];
    let Some(node) = object.get("havings") else { return Ok(Vec::new()) };
    let having = |node: Node<'_>| {
        let object = node.object(&["calculate_op", "column", "name", "op", "value"])?;
        let place = referred(&node, &object, "calculate_op", plan)?;
        let calculation = orderable(&node, plan, place)?;
        let operator = object.required("op")?.word(OPERATORS)?;
        Ok(Having { calculation, operator, value: object.required("value")?.number()? })
    };
    node.array(limits::ORDERS_MAX)?.into_iter().map(having).collect()
}

/// The calculation that an order or a having refers to, by name or by operation and column.
fn referred(
    node: &Node<'_>,
    object: &Object<'_>,
    operation_field: &str,
    plan: &GroupPlan,
) -> Result<usize, QueryError> {
    let calculations = &plan.calculations;
    let found = match object.get("name") {
        Some(name) => {
            let name = name.text()?;
            plan.place_of(name)
        }
        None => {
            let operation_node = object.required(operation_field)?;
            let text = operation_node.text()?;
            if relational::is_derived(text) {
                return calculations
                    .iter()
                    .position(|calculation| relational::is_called(calculation, text))
                    .ok_or_else(|| unreferred(node, calculations));
            }
            let column = object.get("column").map(|node| node.text()).transpose()?;
            if let Some(operation) = over_time::name_of(text) {
                let fits = |calculation: &Calculation| over_time::is_called(calculation, operation, column);
                return calculations.iter().position(fits).ok_or_else(|| unreferred(node, calculations));
            }
            let operation = operation(&operation_node)?;
            let fits = |calculation: &&Calculation| {
                calculation.operation == operation
                    && calculation.derived.is_none()
                    && calculation.column.as_ref().map(|column| &*column.name) == column
            };
            // Of several with different filters, the one without is meant.
            let is_plain = |c: &Calculation| c.filter.is_none() && c.related.is_empty();
            let plain = calculations.iter().position(|c| fits(&c) && is_plain(c));
            plain.or_else(|| calculations.iter().position(|c| fits(&c)))
        }
    };
    found.ok_or_else(|| unreferred(node, calculations))
}

fn unreferred(node: &Node<'_>, calculations: &[Calculation]) -> QueryError {
    let known: Vec<String> = calculations.iter().map(|calculation| calculation.name.clone()).collect();
    node.error("this refers to no calculation of the query")
        .hint(format!("the calculations are {}", known.join(", ")))
        .candidates(known)
}

fn orderable(node: &Node<'_>, plan: &GroupPlan, place: usize) -> Result<usize, QueryError> {
    match plan.calculations.get(place) {
        Some(calculation) if calculation.operation == Operation::Heatmap => {
            Err(node.error("a HEATMAP is no number: it has no order and no bounds"))
        }
        Some(calculation) if !calculation.operation.has_number() => {
            let name = calculation.operation.name();
            let error = node.error(format!("{name} is of buckets of time: it has no order and no bounds"));
            Err(error.hint("order by what changes, and look at its series"))
        }
        _ => Ok(place),
    }
}
