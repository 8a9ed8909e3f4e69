//! Golden answers and errors of every route, over a fixed engine.
