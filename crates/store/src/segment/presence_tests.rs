//! Presences of every fill come back, and damaged ones are errors.

use super::super::ints_write::{Effort, write_rising};
use super::super::presence_blocks::BLOCK_ROWS;
use super::*;
use proptest::prelude::*;

fn check(present: &[bool]) {
    let rows = count(present.len());
    let list: Vec<u32> = (0..rows).filter(|&row| present[row as usize]).collect();
    let mut bytes = Vec::new();
    let form = write_presence(&Presence::Rows(list.clone()), present.len(), &mut bytes);
    let open = |rows, values| PresentRows::open(form, &bytes, rows, values, Version::V2);
    let read = open(rows, count(list.len())).expect("reads");
    read.validate(rows).expect("is valid");
    assert_eq!(read.len() as usize, list.len());
    let mut rank = 0;
    for row in 0..rows {
        assert_eq!(read.rank(row), rank);
        assert_eq!(read.value_of(row), present[row as usize].then_some(rank));
        let blocks = read.value_blocks(row, row + 1);
        assert!(!present[row as usize] || blocks.contains(&(rank as usize / BLOCK_VALUES)));
        rank += u32::from(present[row as usize]);
    }
    assert_eq!((read.value_of(rows), read.rank(rows)), (None, rank));
    let some: Vec<u32> = (0..rows).rev().step_by(3).collect();
    let mut values = vec![None; some.len()];
    let asked = (0..).zip(some.iter().copied());
    read.find_each(asked, |beside, value| values[beside as usize] = Some(value));
    assert_eq!(values, some.iter().map(|&row| read.value_of(row)).collect::<Vec<_>>());
    let mut found = Vec::new();
    for first in [0, 1, rank / 2, rank] {
        read.rows_of(first, 70, &mut found);
        let end = (first as usize + 70).min(list.len());
        assert_eq!(found, list[(first as usize).min(end)..end]);
    }
    assert_eq!(read.to_presence() == Presence::All, list.len() == present.len());
    let mistold = open(rows, count(list.len()) + 1).and_then(|read| read.validate(rows).map(|()| read));
    match mistold {
        Err(_) => {}
        // The number of rows that are spread, in the segment or in its last block, lays out their bits: of few of them, the
        // same bits can be those of one row more. The number is under the checksum of its directory; here whatever
        // passes is a presence.
        Ok(read) => {
            read.rows_of(0, rows, &mut found);
            assert_eq!(found.len(), list.len() + 1);
            assert!(found.is_sorted_by(|a, b| a < b) && found.last() < Some(&rows));
        }
    }
}

#[test]
fn bits_that_are_also_those_of_one_row_more_are_a_presence() {
    let few = [true, false, false, true];
    check(&few);
    // The rows of a block are spread in the same way.
    check(&[vec![true; BLOCK_ROWS], few.to_vec()].concat());
}

proptest! {
    #[test]
    fn every_fill_comes_back(
        seed in prop::collection::vec(0_u8..100, 1..3000), fill in 0_u8..=100,
    ) {
        check(&seed.iter().map(|&n| n < fill).collect::<Vec<_>>());
    }
}

#[test]
fn a_dense_run_costs_next_to_nothing() {
    let rows: Vec<u32> = (400_000..600_000).collect();
    let mut bytes = Vec::new();
    write_presence(&Presence::Rows(rows), 1_000_000, &mut bytes);
    assert!(bytes.len() < 2_500, "{}", bytes.len());
}

#[test]
fn a_run_that_most_rows_have_costs_a_bit_each() {
    let rows: Vec<u32> = (400_000..600_000).filter(|row| row * 7 % 10 < 8).collect();
    let mut bytes = Vec::new();
    write_presence(&Presence::Rows(rows), 1_000_000, &mut bytes);
    assert!(bytes.len() < 200_000 / 8 * 11 / 10, "{}", bytes.len());
}

#[test]
fn a_list_is_never_taken_for_one_of_the_other_kind() {
    for rows in 2..140 {
        for values in 1..rows {
            check(&(0..rows).map(|row| row < values).collect::<Vec<_>>());
        }
    }
}

#[test]
fn damaged_blocks_are_an_error_and_never_a_panic() {
    let rows = 5_000;
    let of = |wanted: fn(u32) -> bool| (0..rows).filter(|&row| wanted(row)).collect::<Vec<u32>>();
    let lists = [
        of(|row| row / 1_024 != 2 && row % 3 == 0),
        of(|row| row % 100 == 7),
        of(|row| row % 100 != 7),
        of(|row| (1_000..3_500).contains(&row)),
    ];
    for list in lists {
        let mut bytes = Vec::new();
        presence_blocks::write(&list, rows as usize, &mut bytes);
        assert_eq!(bytes.len(), presence_blocks::byte_len(&list, rows as usize));
        for at in 0..bytes.len() {
            for flipped in [1, 0x80] {
                bytes[at] ^= flipped;
                let form = PresenceForm::Blocks;
                if let Ok(read) = PresentRows::open(form, &bytes, rows, count(list.len()), Version::V2) {
                    let is_valid = read.validate(rows).is_ok();
                    let mut found = Vec::new();
                    read.rows_of(0, rows, &mut found);
                    assert!(!is_valid || (found.len() == list.len() && found.is_sorted()));
                    (0..rows).step_by(97).for_each(|row| {
                        read.value_of(row);
                    });
                }
                bytes[at] ^= flipped;
            }
        }
    }
}

#[test]
fn rows_beyond_the_last_are_damage() {
    let mut bytes = Vec::new();
    write_rising(&[3, 4, 105], Effort::Low, &mut bytes);
    let check = |bytes, rows| {
        Ints::open(bytes, Version::V2).and_then(|(ints, _)| PresentRows::Rows(ints).validate(rows))
    };
    assert!(check(&bytes[..], 106).is_ok());
    assert!(check(&bytes[..], 105).is_err());
    let mut twice = Vec::new();
    write_rising(&[3, 3, 5], Effort::Low, &mut twice);
    assert!(check(&twice[..], 106).is_err());
}
