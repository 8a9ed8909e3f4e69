//! Calculated fields of a specification: `{"name", "expression"}`, used like columns everywhere in it.

use std::sync::Arc;

use skein_event::columns::Fixed;
use skein_event::limits::{CALCULATED_FIELDS_MAX, COLUMN_NAME_BYTES_MAX};

use super::node::{Node, Object};
use crate::error::{Location, QueryError};
use crate::expression::{Field, Fields, Input, parse};
use crate::names::ALWAYS;
use crate::plan::{Column, Scope};
use crate::text::{Problem, Span};

/// Reads `calculated_fields`.
pub(super) fn calculated_fields(object: &Object<'_>) -> Result<Fields, QueryError> {
    let Some(node) = object.get("calculated_fields") else { return Ok(Fields::default()) };
    let mut fields: Vec<Field> = Vec::new();
    for node in node.array(CALCULATED_FIELDS_MAX)? {
        let field = field(&node)?;
        if fields.iter().any(|other| other.name == field.name) {
            return Err(node.error(format!("two calculated fields are called `{}`", field.name)));
        }
        fields.push(field);
    }
    Fields::plan(&fields, &column_of)
}

fn field(node: &Node<'_>) -> Result<Field, QueryError> {
    let object = node.object(&["name", "expression"])?;
    let name_node = object.required("name")?;
    let name = name_node.text()?;
    if name.len() > COLUMN_NAME_BYTES_MAX {
        return Err(name_node.error(format!("a field's name has at most {COLUMN_NAME_BYTES_MAX} bytes")));
    }
    if Fixed::from_name(name).is_some() || ALWAYS.contains(&name) || name == "service.name" {
        let error = name_node.error(format!("`{name}` is a column with a fixed meaning"));
        return Err(error.hint("give the calculated field another name"));
    }
    if Scope::of_name(name).0 != Scope::Own {
        let error = name_node.error("a name that begins so asks about another span");
        return Err(error.hint("give the calculated field another name"));
    }
    let expression_node = object.required("expression")?;
    let expression =
        parse(expression_node.text()?).map_err(|problem| problem.inside(&expression_node.path))?;
    Ok(Field { name: Arc::from(name), expression, path: expression_node.path })
}

/// What a name in an expression means that is no calculated field.
fn column_of(name: &str, span: Span, path: &str) -> Result<Input, Problem> {
    if Scope::of_name(name).0 != Scope::Own {
        let message = format!("`${name}` asks about another event, and an expression is of one");
        let hint = format!("an attribute of that name is read as $\"attributes.{name}\"");
        return Err(Problem::new(span, message).hint(hint));
    }
    if name.len() > COLUMN_NAME_BYTES_MAX {
        return Err(Problem::new(span, format!("a column's name has at most {COLUMN_NAME_BYTES_MAX} bytes")));
    }
    let location = Location::Inside { path: path.to_owned(), start: span.start, end: span.end };
    Ok(Input::Column { column: Column::stored(name, location), required: true })
}
