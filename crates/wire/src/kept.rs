//! What people keep: markers and boards. Times of markers are epoch seconds, as in questions, so that a marker that was
//! read can be written back; what is refused here is logic, as in all of this crate.

use crate::schema::{Object, wire_type};

wire_type! {
    /// Something that happened.
    Marker {
        /// 16 hex digits, for the life of the marker.
        id: String,
        /// When it was or began, epoch seconds.
        start_time: f64,
        /// When it ended, epoch seconds; left out when it is a moment.
        #[serde(skip_serializing_if = "Option::is_none")]
        end_time: Option<f64>,
        /// What sort of thing, in a word; may be empty. A graph colours markers by it.
        r#type: String,
        /// What a person reads; may be empty.
        message: String,
        /// Where more is to be read: http or https.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Of which dataset; left out: of all.
        #[serde(skip_serializing_if = "Option::is_none")]
        dataset: Option<String>,
        /// 1, and one more with each change.
        version: u64,
        /// When it was written down.
        created_at: String,
        /// When it was last changed.
        updated_at: String,
    }
}

wire_type! {
    /// A marker to be written: what is left out is empty, its time now.
    MarkerRequest {
        /// When it was or began, epoch seconds. Of a marker that is replaced it stays as it is when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        start_time: Option<f64>,
        /// When it ended, epoch seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        end_time: Option<f64>,
        /// What sort of thing, in a word.
        #[serde(skip_serializing_if = "Option::is_none")]
        r#type: Option<String>,
        /// What a person reads.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Where more is to be read: http or https.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Of which dataset; of all when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        dataset: Option<String>,
        /// When replacing: fails with conflict unless the marker has this version.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    }
}

wire_type! {
    /// Markers of a range of time.
    Markers {
        /// The latest first.
        markers: Vec<Marker>,
        /// There are others in the range, earlier ones.
        more: bool,
        /// Ids of markers that are not what was written; they can be deleted, or come back from a backup.
        damaged: Vec<String>,
    }
}

wire_type! {
    /// Questions that are worth asking again, side by side.
    Board {
        /// 16 hex digits, for the life of the board.
        id: String,
        /// Its name.
        name: String,
        /// What it is for; may be empty.
        description: String,
        /// Its panels.
        panels: Vec<BoardPanel>,
        /// 1, and one more with each change.
        version: u64,
        /// When it was made.
        created_at: String,
        /// When it was last changed.
        updated_at: String,
    }
}

wire_type! {
    /// One panel: exactly one of query, insights and text.
    BoardPanel {
        /// Its title.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// How the answer is shown: graph, table, combo, heatmap or rows.
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<String>,
        /// Where it lies; left out: below the others.
        #[serde(skip_serializing_if = "Option::is_none")]
        layout: Option<PanelLayout>,
        /// A specification as of POST /api/v1/query, as a rule without times.
        #[serde(skip_serializing_if = "Option::is_none")]
        query: Option<Object>,
        /// A question in Logs Insights.
        #[serde(skip_serializing_if = "Option::is_none")]
        insights: Option<PanelInsights>,
        /// Text for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    }
}

wire_type! {
    /// Place in a grid of 12 columns.
    PanelLayout {
        /// Columns left of it.
        x: u64,
        /// Rows above it.
        y: u64,
        /// Columns that it takes.
        width: u64,
        /// Rows that it takes.
        height: u64,
    }
}

wire_type! {
    /// A question in Logs Insights on a board.
    PanelInsights {
        /// The query.
        query: String,
        /// Datasets, unless the query has a SOURCE; all when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        datasets: Option<Vec<String>>,
    }
}

wire_type! {
    /// A board to be written.
    BoardRequest {
        /// Its name.
        name: String,
        /// What it is for.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Its panels.
        #[serde(skip_serializing_if = "Option::is_none")]
        panels: Option<Vec<BoardPanel>>,
        /// Required when a board is replaced: the version that was read. Fails with conflict when it has another.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    }
}

wire_type! {
    /// The boards of an environment.
    Boards {
        /// By name, without their panels.
        boards: Vec<BoardSummary>,
        /// Ids of boards that are not what was written; they can be deleted, or come back from a backup.
        damaged: Vec<String>,
    }
}

wire_type! {
    /// A board without its panels.
    BoardSummary {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// What it is for; may be empty.
        description: String,
        /// How many panels it has.
        panels: u64,
        /// 1, and one more with each change.
        version: u64,
        /// When it was made.
        created_at: String,
        /// When it was last changed.
        updated_at: String,
    }
}

wire_type! {
    /// What was deleted.
    Deleted {
        /// Its id.
        id: String,
        /// What it was; left out when it was damaged.
        #[serde(skip_serializing_if = "Option::is_none")]
        was: Option<Object>,
    }
}
