//! The OpenAPI 3.1 document, made of a table of operations.

use serde_json::{Map, Value, json};

use crate::ErrorBody;
use crate::schema::Schema;

/// One operation of the API.
#[derive(Clone, Copy)]
pub struct Operation {
    /// HTTP method, upper case.
    pub method: &'static str,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// Unique name, for generated clients.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Query parameters: name and meaning.
    pub query: &'static [(&'static str, &'static str)],
    /// The request's JSON body.
    pub request: Option<Body>,
    /// The answer.
    pub response: Answer,
}

/// The schema of a body.
#[derive(Clone, Copy)]
pub struct Body {
    /// The schema or a reference.
    pub schema: fn() -> Value,
    /// Adds the definitions it refers to.
    pub define: fn(&mut Map<String, Value>),
}

/// What an operation answers with.
#[derive(Clone, Copy)]
pub enum Answer {
    /// JSON.
    Json(Body),
    /// Another content type.
    Other(&'static str),
    /// Nothing yet: not_found with a hint.
    Later,
}

impl Body {
    /// The body of a wire type.
    pub const fn of<T: Schema>() -> Body {
        Body { schema: T::schema, define: T::define }
    }
}

/// The document for a table of operations.
pub fn document(operations: &[Operation], version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    ErrorBody::define(&mut schemas);
    for operation in operations {
        for body in operation.request.iter() {
            (body.define)(&mut schemas);
        }
        if let Answer::Json(body) = operation.response {
            (body.define)(&mut schemas);
        }
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_ascii_lowercase(), describe(operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Skein", "version": version,
            "description": "Errors are ErrorBody with the status of their code. The header Skein-Environment chooses the environment that is read."},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn describe(operation: &Operation) -> Value {
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    for (name, meaning) in operation.query {
        let parameter = json!({"name": name, "in": "query", "required": false, "description": meaning, "schema": {"type": "string"}});
        parameters.push(parameter);
    }
    parameters.push(json!({"name": "Skein-Environment", "in": "header", "required": false,
        "description": "The environment: default, or skein for the server's own events.",
        "schema": {"type": "string"}}));
    let error =
        json!({"description": "an error", "content": {"application/json": {"schema": ErrorBody::schema()}}});
    let success = match operation.response {
        Answer::Json(body) => {
            json!({"description": "the answer", "content": {"application/json": {"schema": (body.schema)()}}})
        }
        Answer::Other(content_type) => json!({"description": "the answer", "content": {(content_type): {}}}),
        Answer::Later => Value::Null,
    };
    let mut responses = Map::new();
    if !success.is_null() {
        responses.insert("200".to_owned(), success);
    }
    responses.insert("default".to_owned(), error);
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(body), Some(described)) = (operation.request, described.as_object_mut()) {
        let content = json!({"application/json": {"schema": (body.schema)()}});
        described.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, Usage};

    #[test]
    fn references_lead_to_definitions() {
        let operation = Operation {
            method: "GET",
            path: "/api/v1/usage/{of}",
            id: "usage",
            summary: "What is stored.",
            query: &[("since", "From when.")],
            request: Some(Body::of::<Vec<Dataset>>()),
            response: Answer::Json(Body::of::<Usage>()),
        };
        let document = document(&[operation], "1");
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name]["properties"].is_object(), "{name}");
        }
        let usage = &document["components"]["schemas"]["Usage"];
        assert_eq!(usage["required"], json!(["datasets", "events", "storage_bytes", "findings"]));
        let get = &document["paths"]["/api/v1/usage/{of}"]["get"];
        assert_eq!(get["parameters"][0]["name"], "of");
        assert_eq!(get["parameters"][1]["name"], "since");
    }

    #[test]
    fn an_absent_member_is_left_out() {
        let error = crate::ErrorDetail {
            code: "not_found".into(),
            message: "no".into(),
            span: None,
            path: Some("/a".into()),
            candidates: None,
            hint: None,
            retry_after_ms: None,
            request_id: None,
        };
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(text, r#"{"code":"not_found","message":"no","path":"/a"}"#);
    }
}
