//! Numbers by cells of a sixty-fourth of their power of two: fine enough for bins, and found without a logarithm.

/// A cell of doubles. Cells are ordered as the numbers in them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cell(u32);

/// Bits of a double that a cell leaves out: all but sign, exponent and six bits of its digits. A cell is then at most
/// 1.6 % wide; whole numbers below 128 have one each.
const DROPPED_BITS: u32 = 46;

const SIGN: u64 = 1 << 63;

impl Cell {
    /// Cells that there are.
    pub const COUNT: u32 = 1 << (u64::BITS - DROPPED_BITS);

    /// The cell of a finite number.
    pub fn of(number: f64) -> Option<Cell> {
        number.is_finite().then(|| Cell::of_finite(number))
    }

    /// The cell of a number that is known to be finite.
    #[inline]
    pub fn of_finite(number: f64) -> Cell {
        // −0 = 0.
        let bits = (number + 0.0).to_bits();
        // Negative numbers fall as their bits rise.
        let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        Cell((ordered >> DROPPED_BITS) as u32)
    }

    /// Its number, below [`Cell::COUNT`].
    pub fn number(self) -> u32 {
        self.0
    }

    /// The cell of a number as [`Cell::number`] gives it.
    pub fn from_number(number: u32) -> Cell {
        Cell(number.min(Cell::COUNT - 1))
    }

    /// The cell above.
    #[must_use]
    pub fn above(self) -> Cell {
        Cell::from_number(self.0 + 1)
    }

    /// Its least number.
    pub fn low(self) -> f64 {
        let ordered = u64::from(self.0) << DROPPED_BITS;
        f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered & !SIGN })
    }
}
