//! The statements that the shop's services send to its database.

/// A statement.
#[derive(Debug)]
pub struct Query {
    /// `db.query.summary`, also its identity.
    pub summary: &'static str,
    /// `db.operation.name`.
    pub operation: &'static str,
    /// `db.collection.name`.
    pub table: &'static str,
    /// `db.query.text`.
    pub text: &'static str,
    /// Mean time on an idle database, in microseconds.
    pub mean_us: u32,
    /// Rows it answers with.
    pub rows: i64,
}

/// Reads a product with its prices and stock: dear, and therefore cached.
pub static SELECT_PRODUCT: Query = Query {
    summary: "SELECT products",
    operation: "SELECT",
    table: "products",
    text: "SELECT p.*, s.quantity, r.score FROM products p JOIN stock s USING (product_id) JOIN ratings r USING (product_id) WHERE p.product_id = $1",
    mean_us: 55_000,
    rows: 1,
};
/// Searches products by words.
pub static SELECT_SEARCH: Query = Query {
    summary: "SELECT products_search",
    operation: "SELECT",
    table: "products_search",
    text: "SELECT product_id, title, price FROM products_search WHERE document @@ plainto_tsquery($1) ORDER BY rank DESC LIMIT 24 OFFSET $2",
    mean_us: 9_000,
    rows: 24,
};
/// Reads a cart.
pub static SELECT_CART: Query = Query {
    summary: "SELECT cart_items",
    operation: "SELECT",
    table: "cart_items",
    text: "SELECT product_id, quantity, price FROM cart_items WHERE cart_id = $1",
    mean_us: 1_800,
    rows: 3,
};
/// Puts a product into a cart.
pub static UPSERT_CART: Query = Query {
    summary: "INSERT cart_items",
    operation: "INSERT",
    table: "cart_items",
    text: "INSERT INTO cart_items (cart_id, product_id, quantity, price) VALUES ($1, $2, $3, $4) ON CONFLICT (cart_id, product_id) DO UPDATE SET quantity = excluded.quantity",
    mean_us: 3_500,
    rows: 1,
};
/// Reserves stock.
pub static LOCK_STOCK: Query = Query {
    summary: "UPDATE stock",
    operation: "UPDATE",
    table: "stock",
    text: "UPDATE stock SET reserved = reserved + $2 WHERE warehouse_id = $1 RETURNING quantity, reserved",
    mean_us: 2_600,
    rows: 1,
};
/// Writes an order.
pub static INSERT_ORDER: Query = Query {
    summary: "INSERT orders",
    operation: "INSERT",
    table: "orders",
    text: "INSERT INTO orders (order_id, user_id, cart_id, total, currency) VALUES ($1, $2, $3, $4, $5)",
    mean_us: 4_200,
    rows: 1,
};
