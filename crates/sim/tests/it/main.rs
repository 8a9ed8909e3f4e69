//! The tests that need everything: one binary, so that it links once.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod erased;
#[cfg(test)]
mod explain;
mod fields;
#[cfg(test)]
mod found;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod guarantees;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod over_time;
#[cfg(test)]
mod relational;
#[cfg(test)]
mod storage;
