//! The functions by name: what each is called with. What each means is in docs/reference/calculated-fields.md, whose
//! examples are executed, and in `evaluate`.

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Function {
    /// The value behind the first condition that holds.
    If,
    /// The value behind the first case that equals.
    Switch,
    /// The first value that is not null.
    Coalesce,
    /// `<`
    Lt,
    /// `<=`
    Lte,
    /// `>`
    Gt,
    /// `>=`
    Gte,
    /// `=`
    Equals,
    /// Equals any.
    In,
    /// Is not null.
    Exists,
    /// `!`
    Not,
    /// All count as true.
    And,
    /// One counts as true.
    Or,
    /// Least.
    Min,
    /// Largest.
    Max,
    /// `+`
    Sum,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// Logarithm to base 10.
    Log10,
    /// The range of a number, as a label.
    Bucket,
    /// To an integer.
    Int,
    /// To a double.
    Float,
    /// To a boolean.
    Bool,
    /// To text.
    String,
    /// Texts, one behind the other.
    Concat,
    /// Text begins so.
    StartsWith,
    /// Text ends so.
    EndsWith,
    /// Text has it inside.
    Contains,
    /// In lower case.
    ToLower,
    /// Characters or bytes of a text.
    Length,
    /// A regular expression matches.
    RegMatch,
    /// What its first group matches.
    RegValue,
    /// How often it matches.
    RegCount,
    /// The seconds of a time in RFC 3339.
    UnixTimestamp,
    /// The event's time in seconds.
    EventTimestamp,
    /// The time of its arrival in seconds.
    IngestTimestamp,
    /// A time written out.
    FormatTime,
}

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Its name.
    pub name: &'static str,
    /// Which it is.
    pub function: Function,
    /// Arguments it needs.
    pub least: usize,
    /// Arguments it takes.
    pub most: usize,
    /// How it is written.
    pub usage: &'static str,
}

const ANY: usize = usize::MAX;

const fn entry(
    name: &'static str,
    function: Function,
    least: usize,
    most: usize,
    usage: &'static str,
) -> Signature {
    Signature { name, function, least, most, usage }
}

/// Every function, in the order of the documentation.
pub const FUNCTIONS: &[Signature] = &[
    entry("IF", Function::If, 2, ANY, "IF(condition, value, [condition, value, …] [else])"),
    entry("SWITCH", Function::Switch, 3, ANY, "SWITCH(x, case, value, [case, value, …] [default])"),
    entry("COALESCE", Function::Coalesce, 1, ANY, "COALESCE(a, b, …)"),
    entry("LT", Function::Lt, 2, 2, "LT(a, b)"),
    entry("LTE", Function::Lte, 2, 2, "LTE(a, b)"),
    entry("GT", Function::Gt, 2, 2, "GT(a, b)"),
    entry("GTE", Function::Gte, 2, 2, "GTE(a, b)"),
    entry("EQUALS", Function::Equals, 2, 2, "EQUALS(a, b)"),
    entry("IN", Function::In, 2, ANY, "IN(x, a, b, …)"),
    entry("EXISTS", Function::Exists, 1, 1, "EXISTS(x)"),
    entry("NOT", Function::Not, 1, 1, "NOT(x)"),
    entry("AND", Function::And, 1, ANY, "AND(a, b, …)"),
    entry("OR", Function::Or, 1, ANY, "OR(a, b, …)"),
    entry("MIN", Function::Min, 1, ANY, "MIN(a, b, …)"),
    entry("MAX", Function::Max, 1, ANY, "MAX(a, b, …)"),
    entry("SUM", Function::Sum, 1, ANY, "SUM(a, b, …)"),
    entry("SUB", Function::Sub, 2, 2, "SUB(a, b)"),
    entry("MUL", Function::Mul, 1, ANY, "MUL(a, b, …)"),
    entry("DIV", Function::Div, 2, 2, "DIV(a, b)"),
    entry("MOD", Function::Mod, 2, 2, "MOD(a, b)"),
    entry("LOG10", Function::Log10, 1, 1, "LOG10(x)"),
    entry("BUCKET", Function::Bucket, 2, 4, "BUCKET(x, size, [min, [max]])"),
    entry("INT", Function::Int, 1, 1, "INT(x)"),
    entry("FLOAT", Function::Float, 1, 1, "FLOAT(x)"),
    entry("BOOL", Function::Bool, 1, 1, "BOOL(x)"),
    entry("STRING", Function::String, 1, 1, "STRING(x)"),
    entry("CONCAT", Function::Concat, 1, ANY, "CONCAT(a, b, …)"),
    entry("STARTS_WITH", Function::StartsWith, 2, 2, "STARTS_WITH(text, prefix)"),
    entry("ENDS_WITH", Function::EndsWith, 2, 2, "ENDS_WITH(text, suffix)"),
    entry("CONTAINS", Function::Contains, 2, 2, "CONTAINS(text, part)"),
    entry("TO_LOWER", Function::ToLower, 1, 1, "TO_LOWER(text)"),
    entry("LENGTH", Function::Length, 1, 2, "LENGTH(text, [\"bytes\"])"),
    entry("REG_MATCH", Function::RegMatch, 2, 2, "REG_MATCH(text, `pattern`)"),
    entry("REG_VALUE", Function::RegValue, 2, 2, "REG_VALUE(text, `pattern`)"),
    entry("REG_COUNT", Function::RegCount, 2, 2, "REG_COUNT(text, `pattern`)"),
    entry("UNIX_TIMESTAMP", Function::UnixTimestamp, 1, 1, "UNIX_TIMESTAMP(time)"),
    entry("EVENT_TIMESTAMP", Function::EventTimestamp, 0, 0, "EVENT_TIMESTAMP()"),
    entry("INGEST_TIMESTAMP", Function::IngestTimestamp, 0, 0, "INGEST_TIMESTAMP()"),
    entry("FORMAT_TIME", Function::FormatTime, 2, 2, "FORMAT_TIME(\"%Y-%m-%d\", seconds)"),
];

/// Functions that the language has for datasets of metrics only.
pub const METRICS_ONLY: &[&str] = &["RAW_METRIC", "LAST", "SUMMARIZE", "INCREASE", "RATE"];
