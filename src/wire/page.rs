//! Pages of lists, as Nacos cuts them. Numbers are 32 bits on the wire and 64 here, so nothing overflows; a page that is not there is empty.

use std::ops::Range;

/// Page `no`, counted from 1, of `size` rows. Page 0 and negative ones are empty.
pub fn slice<T>(rows: &[T], no: i32, size: i32) -> &[T] {
    let (no, size) = (i64::from(no), i64::from(size));
    &rows[within((no - 1) * size, no * size, rows.len())]
}

/// `size` rows after so many pages (the console's way): all of them, whichever page, if they fit one; at least one row a page.
pub fn slice_after<T>(rows: &[T], pages_before: i32, size: i32) -> &[T] {
    let (before, size) = (i64::from(pages_before), i64::from(size));
    if size >= rows.len() as i64 {
        return rows;
    }
    let start = (before * size).max(0);
    &rows[within(start, start + size.max(1), rows.len())]
}

fn within(start: i64, end: i64, len: usize) -> Range<usize> {
    let clamp = |at: i64| usize::try_from(at.max(0)).unwrap_or(usize::MAX).min(len);
    clamp(start)..clamp(end).max(clamp(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROWS: [u8; 5] = [0, 1, 2, 3, 4];

    #[test]
    fn pages_count_from_one() {
        let page = |no, size| slice(&ROWS, no, size).to_vec();
        assert_eq!([page(1, 2), page(3, 2), page(1, 100)], [vec![0, 1], vec![4], ROWS.to_vec()]);
        for (no, size) in [(4, 2), (0, 2), (-1, 2), (1, 0), (1, -5), (i32::MAX, i32::MAX), (i32::MIN, i32::MAX)] {
            assert!(page(no, size).is_empty(), "{no} {size}");
        }
    }

    #[test]
    fn the_console_gets_everything_that_fits_a_page() {
        let page = |before, size| slice_after(&ROWS, before, size).to_vec();
        assert_eq!([page(0, 5), page(7, 5), page(-1, 9)], [ROWS.to_vec(), ROWS.to_vec(), ROWS.to_vec()]);
        assert_eq!([page(0, 2), page(2, 2), page(-1, 2)], [vec![0, 1], vec![4], vec![0, 1]]);
        assert_eq!([page(0, 0), page(1, -1)], [vec![0], vec![0]]);
        assert!(page(3, 2).is_empty() && page(i32::MAX, 4).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(no in any::<i32>(), size in any::<i32>(), len in 0usize..9) {
            let rows = vec![0u8; len];
            prop_assert!(slice(&rows, no, size).len() <= len && slice_after(&rows, no, size).len() <= len);
        }
    }
}
