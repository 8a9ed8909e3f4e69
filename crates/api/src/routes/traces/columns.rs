//! Columns on their way to a client: as JSON arrays, or as `application/vnd.skein.columns`, which is JSON for
//! everything but the columns and their bytes behind it (docs/formats/columns.md).
//!
//! A browser reads a million numbers from JSON in a second and from bytes in none: it uses them where they lie.

use event::ids::encode_hex;
use serde::Serialize;
use serde_json::{Map, Value, json};
use skein_event as event;

/// The content type.
pub(super) const CONTENT_TYPE: &str = "application/vnd.skein.columns";

/// The first bytes; the last of them is the version.
const MAGIC: [u8; 8] = *b"SKCOLS\0\x01";

/// Every column begins at a multiple of this: the widest number's size.
const ALIGNMENT: usize = 8;

/// A column.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Column {
    U16(Vec<u16>),
    U32(Vec<u32>),
    /// Numbers of things; -1 where there is none.
    I32(Vec<i32>),
    F64(Vec<f64>),
    /// Span ids; in JSON 16 hex digits.
    U64(Vec<u64>),
}

/// Columns of one length.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: Vec<(&'static str, Column)>,
}

/// Writes an answer as one JSON object.
pub(super) fn as_json(head: &impl Serialize, tables: &[Table]) -> serde_json::Result<Vec<u8>> {
    let mut out = serde_json::to_vec(head)?;
    out.pop(); // the closing brace
    for (number, table) in tables.iter().enumerate() {
        out.extend(if number == 0 && out == b"{" { "\"" } else { ",\"" }.bytes());
        out.extend(table.name.bytes());
        out.extend(b"\":{");
        for (number, (name, column)) in table.columns.iter().enumerate() {
            out.extend(if number == 0 { "\"" } else { ",\"" }.bytes());
            out.extend(name.bytes());
            out.extend(b"\":");
            match column {
                Column::U16(values) => serde_json::to_writer(&mut out, values)?,
                Column::U32(values) => serde_json::to_writer(&mut out, values)?,
                Column::I32(values) => serde_json::to_writer(&mut out, values)?,
                Column::F64(values) => serde_json::to_writer(&mut out, values)?,
                Column::U64(ids) => {
                    let texts: Vec<String> = ids.iter().map(|id| encode_hex(&id.to_be_bytes())).collect();
                    serde_json::to_writer(&mut out, &texts)?;
                }
            }
        }
        out.push(b'}');
    }
    out.push(b'}');
    Ok(out)
}

/// Writes an answer with its columns as bytes.
pub(super) fn as_bytes(head: &impl Serialize, tables: &[Table]) -> serde_json::Result<Vec<u8>> {
    let mut head = match serde_json::to_value(head)? {
        Value::Object(head) => head,
        _ => Map::new(),
    };
    let mut offset = 0;
    for table in tables {
        let mut described = Map::new();
        for (name, column) in &table.columns {
            let (kind, length, bytes) = match column {
                Column::U16(values) => ("u16", values.len(), values.len() * 2),
                Column::U32(values) => ("u32", values.len(), values.len() * 4),
                Column::I32(values) => ("i32", values.len(), values.len() * 4),
                Column::F64(values) => ("f64", values.len(), values.len() * 8),
                Column::U64(values) => ("u64", values.len(), values.len() * 8),
            };
            described.insert((*name).to_owned(), json!({"type": kind, "offset": offset, "length": length}));
            offset += bytes.next_multiple_of(ALIGNMENT);
        }
        head.insert(table.name.to_owned(), Value::Object(described));
    }
    let mut text = serde_json::to_vec(&head)?;
    // Spaces after the object, so that the columns begin aligned.
    text.resize(text.len().next_multiple_of(ALIGNMENT), b' ');
    let mut out = Vec::with_capacity(MAGIC.len() + ALIGNMENT + text.len() + offset);
    out.extend(MAGIC);
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
    for (_, column) in tables.iter().flat_map(|table| &table.columns) {
        match column {
            Column::U16(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            Column::U32(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            Column::I32(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            Column::F64(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
            Column::U64(values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
        }
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same_and_bytes_are_aligned() {
        let table = |name, columns| Table { name, columns };
        let tables = [
            table(
                "odd",
                vec![("flags", Column::U16(vec![1, 2, 513])), ("node", Column::I32(vec![-1, 7, 0]))],
            ),
            table("ids", vec![("span_id", Column::U64(vec![0xab])), ("size", Column::U32(vec![9]))]),
            table("times", vec![("ms", Column::F64(vec![0.5, -2.0]))]),
            table("none", vec![("ms", Column::F64(Vec::new()))]),
        ];
        let head = json!({"name": "ä"});
        let parsed: Value = serde_json::from_slice(&as_json(&head, &tables).unwrap()).unwrap();
        let expected = json!({
            "name": "ä", "odd": {"flags": [1, 2, 513], "node": [-1, 7, 0]},
            "ids": {"span_id": ["00000000000000ab"], "size": [9]}, "times": {"ms": [0.5, -2.0]}, "none": {"ms": []},
        });
        assert_eq!(parsed, expected);
        assert_eq!(as_json(&json!({}), &tables[3..]).unwrap(), br#"{"none":{"ms":[]}}"#);

        let bytes = as_bytes(&head, &tables).unwrap();
        assert_eq!(bytes[..8], MAGIC);
        let length = usize::try_from(u64::from_le_bytes(bytes[8..16].try_into().unwrap())).unwrap();
        let described: Value = serde_json::from_slice(&bytes[16..16 + length]).unwrap();
        let data = &bytes[16 + length..];
        assert_eq!((16 + length) % 8, 0);
        assert_eq!(described["name"], "ä");
        let column = |table: &str, name: &str| {
            let place = &described[table][name];
            let offset = usize::try_from(place["offset"].as_u64().unwrap()).unwrap();
            assert_eq!(offset % 8, 0, "{table}.{name}");
            (&data[offset..], place["length"].as_u64().unwrap(), place["type"].as_str().unwrap().to_owned())
        };
        let (flags, length, kind) = column("odd", "flags");
        assert_eq!((&flags[..6], length, kind.as_str()), (&[1, 0, 2, 0, 1, 2][..], 3, "u16"));
        assert_eq!(column("odd", "node").0[..8], [255, 255, 255, 255, 7, 0, 0, 0]);
        assert_eq!(column("ids", "span_id").0[..8], [0xab, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(column("ids", "size").0[..4], [9, 0, 0, 0]);
        assert_eq!(column("times", "ms").0[8..16], (-2.0_f64).to_le_bytes());
        assert_eq!((column("none", "ms").0, column("none", "ms").1), (&[][..], 0));
    }
}
