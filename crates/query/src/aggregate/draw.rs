//! How an event came to be kept, as far as estimates care (SEMANTICS.md, "Columns with a fixed meaning").
//!
//! What was kept or not as a whole is a *unit*: a trace, or an event that was drawn by itself. Events of one unit are never
//! taken for independent. The unit is a well mixed hash of 64 bits, whose bits also draw the signs and places of
//! [`super::signed`]; two units of one hash would count as one, with a chance as that of equal values
//! ([`super::State::add_hash`]).

/// How an event came to be kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Draw {
    /// It stands for itself: whatever is like it was kept, too.
    Certain,
    /// It was kept with the probability 1/`weight`, together with all of its unit.
    Chance {
        /// How many events it stands for; more than 1.
        weight: f64,
        /// What it was kept with.
        unit: u64,
    },
    /// With no probability that is known, or together with nobody knows what.
    Unknown {
        /// How many events it is said to stand for.
        weight: f64,
    },
}

impl Draw {
    /// An event of a weight and a unit.
    #[inline]
    pub fn of(weight: f64, unit: u64) -> Draw {
        if weight > 1.0 { Draw::Chance { weight, unit } } else { Draw::from(weight) }
    }

    /// How many events it stands for.
    #[inline]
    pub fn weight(self) -> f64 {
        match self {
            Draw::Certain => 1.0,
            Draw::Chance { weight, .. } | Draw::Unknown { weight } => weight,
        }
    }
}

/// A weight alone: who was drawn together is not known.
impl From<f64> for Draw {
    #[inline]
    fn from(weight: f64) -> Draw {
        #[expect(clippy::float_cmp, reason = "a weight of exactly 1 means not sampled")]
        let certain = weight == 1.0;
        if certain { Draw::Certain } else { Draw::Unknown { weight } }
    }
}
