//! Limits of questions and answers, each with its reason; the rest of [`super`] bounds events on their way in.

/// Rows of a query answer (CONTRACT.md: limit at most 10,000).
pub const QUERY_LIMIT_MAX: usize = 10_000;

/// Rows of a query answer when none is asked for.
pub const QUERY_LIMIT_DEFAULT: usize = 100;

/// Queries that run or wait for a turn; more are told to slow down, since each may hold memory.
pub const QUERIES_RUNNING_MAX: usize = 64;

/// Memory of one query's state, unless the configuration says otherwise: a quarter of a 4 GiB machine.
pub const QUERY_MEMORY_BYTES_MAX: usize = 1 << 30;

/// Time of one query, unless the configuration says otherwise: whoever waits longer has gone away.
pub const QUERY_SECONDS_MAX: u64 = 60;

/// A question up to this length is kept with the event that tells of it, to be replayed. Boards ask in under 4 KiB.
pub const CAPTURED_QUERY_BYTES_MAX: usize = 32 << 10;

/// What a query under way knows is put together at most this often: what a person can follow.
pub const PARTIAL_INTERVAL_NS: i64 = 200_000_000;

/// Putting it together may cost the query this part of its time, one in so many.
pub const PARTIAL_COST_FRACTION: i64 = 10;

/// Bytes of what is shown of a query under way; each of [`QUERIES_RUNNING_MAX`] may hold so much. The whole
/// answer, which may be larger, is kept on the account of [`ANSWER_BYTES_KEPT`].
pub const PARTIAL_ANSWER_BYTES_MAX: usize = 2 << 20;

/// Answers kept to be found again under their id: a board of 50 panels, asked for by five people.
pub const ANSWERS_KEPT: usize = 256;

/// Bytes of answers kept: an answer of 10,000 wide rows is about 20 MiB.
pub const ANSWER_BYTES_KEPT: usize = 128 << 20;

/// An answer is kept this long.
pub const ANSWER_TTL_NS: i64 = 10 * 60 * 1_000_000_000;

/// Values of a column in one answer, enough for a person to choose from.
pub const COLUMN_VALUES_MAX: usize = 100;

/// Entries of a query's cache of values without a dictionary, beyond which it starts anew: it is a shortcut, and
/// a column of unlike numbers must not fill memory with it.
pub const CACHED_VALUES_MAX: usize = 1 << 16;

/// Candidates of an error: more is a list to read, not an answer.
pub const CANDIDATES_MAX: usize = 5;

/// A name longer than this is compared with candidates only by its beginning, so that a hostile name costs little.
pub const COMPARED_CHARS_MAX: usize = 64;

/// Calculated fields of a query, as many as it may have calculations.
pub const CALCULATED_FIELDS_MAX: usize = 100;

/// Bytes of an expression or another question in text. What people write by hand is a tenth of it; generated ones
/// (a SWITCH of two hundred cases) fit.
pub const QUESTION_TEXT_BYTES_MAX: usize = 16 << 10;

/// Nesting of an expression: parsing it takes a few hundred bytes of stack for each level.
pub const EXPRESSION_DEPTH_MAX: usize = 100;

/// Steps that a calculated field takes for one event, those of the fields it refers to included. Microseconds.
pub const EXPRESSION_STEPS_MAX: usize = 1_000;

/// Different regular expressions in the calculated fields of a query: each may take [`PATTERN_BYTES_MAX`].
pub const PATTERNS_MAX: usize = 100;

/// Memory of a compiled regular expression, and of what it caches while it matches: a class of all letters repeated
/// a hundred times does not fit, and what people write does many times.
pub const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Text that CONCAT makes; beyond, its result is null. It is a label, and fields that double each other's text must end.
pub const CALCULATED_TEXT_BYTES_MAX: usize = 64 << 10;

/// Bytes of texts that a calculated column remembers of one segment, so that equal ones are made once. It starts anew
/// beyond them, at the next block.
pub const CALCULATED_TEXTS_KEPT_BYTES_MAX: usize = 4 << 20;

/// Of a text in a trace that is read as columns so much is kept: a line of a log, the beginning of a message. The
/// whole value comes with its span.
pub const TRACE_TEXT_BYTES_MAX: usize = 256;

/// Bytes that an event of a trace takes while it is analysed, beside its columns: its span, node, pieces of path.
pub const TRACE_EVENT_BYTES: usize = 320;

/// Commands of a query in Logs Insights. People write five.
pub const INSIGHTS_COMMANDS_MAX: usize = 200;

/// Items of one command: as many as a specification has breakdowns and calculations together.
pub const INSIGHTS_ITEMS_MAX: usize = 200;

/// Pairs or values that `parse` takes from one text with logfmt or csv: CloudWatch discovers 200 fields of an event.
pub const INSIGHTS_PAIRS_MAX: usize = 1_000;

/// Rows that one row becomes by `unnest`, `expand` or `parse … multi`. A list of more is no list of things to look at.
pub const INSIGHTS_ELEMENTS_MAX: usize = 10_000;

/// Templates that `pattern` tells apart. Real services write some hundred; with more, those at the end mean nothing.
pub const INSIGHTS_PATTERNS_MAX: usize = 5_000;

/// Words of a text that `pattern` looks at: more is a document and no message.
pub const INSIGHTS_PATTERN_WORDS_MAX: usize = 200;

/// Proposals of one completion, unless it is said how many, and at most.
pub const COMPLETIONS_DEFAULT: usize = 50;

/// More than that nobody reads.
pub const COMPLETIONS_MAX: usize = 200;

/// Bytes of a value that is typed, beyond which none are proposed.
pub const COMPLETIONS_TYPED_BYTES_MAX: usize = 256;

/// How long values are looked for before there are none: somebody is typing.
pub const COMPLETION_NS_MAX: i64 = 1_000_000_000;

/// Memory of looking for them.
pub const COMPLETION_BYTES_MAX: usize = 64 << 20;

/// Datasets whose columns are told apart in a completion; of more, those of all are proposed.
pub const COMPLETION_DATASETS_MAX: usize = 16;

/// Rows before a row that `autoregress` looks at: each is a column of the answer.
pub const INSIGHTS_LAG_ROWS_MAX: u32 = 100;

/// Bins that `fillmissing` makes of a range: as many as an answer has rows.
pub const INSIGHTS_BINS_MAX: usize = 10_000;

/// Ranges of a `histogram`: more is no picture any more.
pub const INSIGHTS_RANGES_MAX: u16 = 1_000;

/// Columns that an explanation is asked for by name; without names it looks at all of them.
pub const EXPLAIN_COLUMNS_MAX: usize = 1_000;

/// Findings of an explanation: more is a list to read, not an explanation.
pub const EXPLAIN_FINDINGS_MAX: usize = 64;

/// Findings when no number is asked for: a screen of them.
pub const EXPLAIN_FINDINGS_DEFAULT: usize = 20;

/// Different values of a column that an explanation keeps apart. A column with more is mostly ids; what of them is
/// frequent is seen among the first, and the answer says that there were more.
pub const EXPLAIN_VALUES_MAX: usize = 1 << 16;

/// Different whole numbers of a column that an explanation takes for values, beside its ranges: codes and levels.
pub const EXPLAIN_WHOLE_NUMBERS_MAX: usize = 256;

/// Mostly different text without a dictionary is looked at value by value up to this many in a segment: head blocks are
/// small; in a file it is ids and prose, whose values repeat too seldom to explain anything.
pub const EXPLAIN_PLAIN_TEXTS_MAX: u32 = 1 << 13;

/// Conditions whose traces an explanation looks at: 64 KiB each.
pub const EXPLAIN_CANDIDATES_MAX: usize = 512;

/// Statements of one column whose traces are looked at: its values and ranges say much the same.
pub const EXPLAIN_OF_COLUMN_MAX: usize = 16;

/// Statements that are compared with each other: the bits of a word, one for each.
pub const EXPLAIN_OVERLAPS_MAX: usize = 64;

/// Findings of which pairs are made: 276 pairs, each one more test.
pub const EXPLAIN_PAIRED_MAX: usize = 24;

/// Pairs whose traces are looked at, the strongest ones.
pub const EXPLAIN_PAIRS_MAX: usize = 16;

/// Whole numbers of a segment within so many are counted one by one: 32 KiB a column.
pub const EXPLAIN_WHOLE_SPAN_MAX: u64 = 4_096;

/// Markers of an environment: ten deployments a day for nearly three years. Older ones can be deleted.
pub const MARKERS_MAX: usize = 10_000;

/// Markers of one answer: more beside a graph are a blur. The answer says that there are others.
pub const MARKERS_LISTED_MAX: usize = 1_000;

/// What a marker is, in a word.
pub const MARKER_KIND_BYTES_MAX: usize = 100;

/// What a marker says: a sentence or two, shown beside a graph.
pub const MARKER_MESSAGE_BYTES_MAX: usize = 1_000;

/// Where more is to be read; what browsers take.
pub const URL_BYTES_MAX: usize = 2_000;

/// Boards of an environment: a large organisation has hundreds.
pub const BOARDS_MAX: usize = 1_000;

/// Panels of a board: each is a question whenever it is looked at.
pub const BOARD_PANELS_MAX: usize = 64;

/// A board as it is kept. Its questions take under 4 KiB each.
pub const BOARD_BYTES_MAX: usize = 256 << 10;

/// Name of a board, title of a panel: one line.
pub const BOARD_NAME_BYTES_MAX: usize = 200;

/// What a board is for.
pub const BOARD_DESCRIPTION_BYTES_MAX: usize = 4_000;

/// A panel of text: a runbook's page.
pub const BOARD_TEXT_BYTES_MAX: usize = 16 << 10;

/// Columns of a board's grid.
pub const BOARD_COLUMNS: u64 = 12;

/// Rows of a board's grid, and height of a panel in them.
pub const BOARD_ROWS_MAX: u64 = 10_000;

/// Calls that change or read markers and boards at once; the others wait, each a small request. SQLite takes one after
/// another anyway.
pub const REGISTRY_CALLS_MAX: usize = 4;

/// Columns that make an operation of a comparison.
pub const COMPARE_BY_MAX: usize = 4;

/// Operations of a comparison: more is a table to search, not to read.
pub const COMPARE_OPERATIONS_MAX: usize = 1_000;

/// Operations when no number is asked for.
pub const COMPARE_OPERATIONS_DEFAULT: usize = 100;

/// Shapes of texts that are told apart when templates are mined; what comes beyond is counted as other. With its counts
/// each takes under a kilobyte.
pub const TEMPLATE_SHAPES_MAX: usize = 1 << 16;

/// Gatherings of shapes that begin alike which a shape is compared with: as many as Drain allows children.
pub const TEMPLATES_ALIKE_MAX: usize = 100;

/// Characters of a text that is shown with its template.
pub const TEMPLATE_EXAMPLE_CHARS_MAX: usize = 512;

/// Templates of an answer: more is a list to search, not to read.
pub const TEMPLATES_SHOWN_MAX: usize = 1_000;

/// Templates when no number is asked for.
pub const TEMPLATES_SHOWN_DEFAULT: usize = 100;

/// Edges of a map: more is a ball of wool.
pub const MAP_EDGES_MAX: usize = 2_000;
