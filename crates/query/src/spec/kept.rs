//! What people keep: a marker, and a board with its panels. A panel's question is checked as if it were asked, so that a
//! board never holds one that cannot be.
//!
//! What it refuses: names and texts beyond their limits, addresses that a browser would run, and a panel that is two
//! things at once. Whether a column exists is not asked: it may come later.

use serde_json::Value;
use skein_event::ids::Environment;
use skein_event::limits::{
    BOARD_BYTES_MAX, BOARD_COLUMNS, BOARD_DESCRIPTION_BYTES_MAX, BOARD_NAME_BYTES_MAX, BOARD_PANELS_MAX,
    BOARD_ROWS_MAX, BOARD_TEXT_BYTES_MAX, COLUMN_NAME_BYTES_MAX, MARKER_KIND_BYTES_MAX,
    MARKER_MESSAGE_BYTES_MAX, URL_BYTES_MAX,
};

use super::node::{Node, Object};
use super::{parse, times};
use crate::error::QueryError;
use crate::insights::request;

/// What a marker says, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkerText {
    /// When it was or began, if stated.
    pub start_ns: Option<i64>,
    /// When it ended.
    pub end_ns: Option<i64>,
    /// What sort of thing.
    pub kind: String,
    /// What a person reads.
    pub message: String,
    /// Where more is to be read.
    pub url: Option<String>,
    /// Of which dataset.
    pub dataset: Option<String>,
    /// The version that is to be changed, if stated.
    pub version: Option<u64>,
}

/// What a board holds, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardText {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its panels as JSON on one line.
    pub panels: String,
    /// How many.
    pub panel_count: u64,
    /// The version that is to be changed, if stated.
    pub version: Option<u64>,
}

/// What a panel may be; it is exactly one of these.
const CONTENTS: [&str; 3] = ["query", "insights", "text"];

/// Reads a marker. `default_start_ns` is when it was if the body does not say.
pub fn marker(body: &Value, default_start_ns: i64) -> Result<MarkerText, QueryError> {
    let known = ["start_time", "end_time", "type", "message", "url", "dataset", "version"];
    let object = Node::root(body).object(&known)?;
    let time = |name: &str| object.get(name).map(|node| times::to_ns(&node)).transpose();
    let (start_ns, end_ns) = (time("start_time")?, time("end_time")?);
    if let (Some(end), Some(node)) = (end_ns, object.get("end_time"))
        && end < start_ns.unwrap_or(default_start_ns)
    {
        return Err(node.error("the marker ends before it begins"));
    }
    let url = optional(&object, "url", URL_BYTES_MAX)?;
    if let (Some(url), Some(node)) = (&url, object.get("url")) {
        check_url(url, &node)?;
    }
    Ok(MarkerText {
        start_ns,
        end_ns,
        kind: optional(&object, "type", MARKER_KIND_BYTES_MAX)?.unwrap_or_default(),
        message: optional(&object, "message", MARKER_MESSAGE_BYTES_MAX)?.unwrap_or_default(),
        url,
        dataset: optional(&object, "dataset", COLUMN_NAME_BYTES_MAX)?,
        version: version(&object)?,
    })
}

/// Reads a board.
pub fn board(body: &Value, environment: &Environment, now_ns: i64) -> Result<BoardText, QueryError> {
    let object = Node::root(body).object(&["name", "description", "panels", "version"])?;
    let name = object.required("name")?;
    let name = bounded(&name, BOARD_NAME_BYTES_MAX)?;
    let description = optional(&object, "description", BOARD_DESCRIPTION_BYTES_MAX)?.unwrap_or_default();
    let nodes = object.get("panels").map_or_else(|| Ok(Vec::new()), |node| node.array(BOARD_PANELS_MAX))?;
    for node in &nodes {
        panel(node, environment, now_ns)?;
    }
    let values: Vec<&Value> = nodes.iter().map(|node| node.value).collect();
    let panels = serde_json::to_string(&values).map_err(|error| QueryError::internal(error.to_string()))?;
    if panels.len() > BOARD_BYTES_MAX {
        let error = object
            .error(format!("the panels take {} bytes, at most {BOARD_BYTES_MAX} are kept", panels.len()));
        return Err(error.at_path("/panels").hint("make two boards of it"));
    }
    Ok(BoardText {
        name: name.to_owned(),
        description,
        panels,
        panel_count: values.len() as u64,
        version: version(&object)?,
    })
}

fn panel(node: &Node<'_>, environment: &Environment, now_ns: i64) -> Result<(), QueryError> {
    let object = node.object(&["title", "display", "layout", "query", "insights", "text"])?;
    if let Some(title) = object.get("title") {
        length(&title, BOARD_NAME_BYTES_MAX)?;
    }
    if let Some(display) = object.get("display") {
        let words = ["graph", "table", "combo", "heatmap", "rows"].map(|word| (word, ()));
        display.word(&words)?;
    }
    if let Some(layout) = object.get("layout") {
        check_layout(&layout)?;
    }
    let contents: Vec<&str> = CONTENTS.into_iter().filter(|name| object.get(name).is_some()).collect();
    let &[content] = contents.as_slice() else {
        let error = node.error("a panel is exactly one of query, insights and text");
        return Err(error.hint("make a panel of each"));
    };
    let Some(content_node) = object.get(content) else { return Ok(()) };
    let checked = match content {
        "query" => parse(content_node.value, environment, now_ns).map(drop),
        "insights" => {
            let asked = content_node.object(&["query", "datasets"])?;
            let text = asked.required("query")?;
            text.text()?;
            request::plan_of(content_node.value, environment, now_ns).map(drop)
        }
        _ => return length(&content_node, BOARD_TEXT_BYTES_MAX),
    };
    checked.map_err(|error| error.within(&content_node.path, "/query"))
}

fn check_layout(node: &Node<'_>) -> Result<(), QueryError> {
    let object = node.object(&["x", "y", "width", "height"])?;
    let number = |name: &str, least: u64, most: u64| {
        let node = object.required(name)?;
        let number = node.value.as_u64().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| node.error(format!("`{name}` is a whole number from {least} to {most}")))
    };
    let (x, width) = (number("x", 0, BOARD_COLUMNS - 1)?, number("width", 1, BOARD_COLUMNS)?);
    number("y", 0, BOARD_ROWS_MAX)?;
    number("height", 1, BOARD_ROWS_MAX)?;
    if x + width > BOARD_COLUMNS {
        let message = format!("the panel reaches beyond the {BOARD_COLUMNS} columns of a board");
        return Err(node.error(message).hint("x + width is at most 12"));
    }
    Ok(())
}

/// Addresses that a browser follows without running them.
fn check_url(url: &str, node: &Node<'_>) -> Result<(), QueryError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let followed = matches!(scheme.as_deref(), Some("http" | "https"));
    if followed && !url.chars().any(|char| char.is_control() || char.is_whitespace()) {
        return Ok(());
    }
    Err(node.error("this is no address of a page").hint("begin it with https:// or http://"))
}

fn version(object: &Object<'_>) -> Result<Option<u64>, QueryError> {
    let Some(node) = object.get("version") else { return Ok(None) };
    let version = node.value.as_u64().filter(|version| *version > 0);
    version.map(Some).ok_or_else(|| node.error("the version is a whole number, 1 or more"))
}

/// A text that may be missing or empty, both of which are `None`.
fn optional(object: &Object<'_>, name: &str, bytes_max: usize) -> Result<Option<String>, QueryError> {
    match object.get(name) {
        None => Ok(None),
        Some(node) if node.value.as_str() == Some("") => Ok(None),
        Some(node) => bounded(&node, bytes_max).map(|text| Some(text.to_owned())),
    }
}

fn bounded<'a>(node: &Node<'a>, bytes_max: usize) -> Result<&'a str, QueryError> {
    let text = node.text()?;
    if text.len() <= bytes_max {
        return Ok(text);
    }
    Err(node.error(format!("{} bytes, at most {bytes_max} are kept", text.len())))
}

fn length(node: &Node<'_>, bytes_max: usize) -> Result<(), QueryError> {
    if node.value.as_str() == Some("") { Ok(()) } else { bounded(node, bytes_max).map(drop) }
}
