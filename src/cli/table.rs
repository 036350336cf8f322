//! Aligned columns of text. Control characters in cells, which may come from a server, never reach the terminal.

/// Lines of a heading and rows, each column as wide as its widest cell, two blanks between.
pub fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_string);
    let rows: Vec<[String; N]> = std::iter::once(&heading).chain(rows).map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The text with control characters replaced.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn columns_are_aligned_and_escape_sequences_disarmed() {
        let rows = [["a".to_string(), "\u{1b}[2Jé".to_string()], ["long one".to_string(), String::new()]];
        expect![[r#"
            KEY       VALUE
            a         �[2Jé
            long one
        "#]]
        .assert_eq(&table(["KEY", "VALUE"], &rows));
    }
}
